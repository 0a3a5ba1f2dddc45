#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""doc/virt-uv-events.schema.json and what --json prints: each line holds to it, and it speaks of nothing else."""

import json
import os
import re
import unittest

import jsonschema
from libvirtd import Libvirtd
from program import READY, TERMINATE, events, run_events

SOURCE = os.environ["VIRT_UV_SOURCE"]
URI = "test:///default"
SYNTHETIC = {"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"], "VIRT_UV_HOSTILE": "1"}
OWN_RECORDS = {"connection", "state", "dropped", "stats"}

with open(f"{SOURCE}/doc/virt-uv-events.schema.json", encoding="utf-8") as file:
    SCHEMA = json.load(file)


def definitions():
    """Those of records, by each event's name."""
    found = {}
    for definition in SCHEMA["$defs"].values():
        event = definition.get("properties", {}).get("event")
        for name in event.get("enum", [event.get("const")]) if event else []:
            found[name] = definition
    return found


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        cls.validators = {name: jsonschema.Draft202012Validator({**definition, "$defs": SCHEMA["$defs"]})
                          for name, definition in definitions().items()}

    def check(self, lines):
        records = [json.loads(line) for line in lines]
        for record in records:
            self.assertIn(record["event"], self.validators)
            self.validators[record["event"]].validate(record)
        return {record["event"] for record in records}

    def test_holds_for_every_event_with_every_value(self):
        seen = set()
        families = ("network-", "pool-", "nodedev-", "secret-")
        others = [name for name in run_events("--list")[1] if name.startswith(families)]
        for choice, last in (("*", '"utcoffset":424242'), *((name, f'"event":"{name}"') for name in others)):
            with events("-c", URI, "-e", choice, "--json", "--state", env=SYNTHETIC) as program:
                program.expect(last)
                seen |= self.check(program.stdout.seen)
                program.end(TERMINATE)
        self.assertEqual(seen, {*run_events("--list")[1]} | {"connection", "state"})

    def test_holds_for_the_records_of_the_watching(self):
        with Libvirtd() as libvirtd, events("-c", libvirtd.uri, "--json", "--state", "--stats", "1") as program:
            program.expect_said(READY)
            libvirtd.kill()
            program.expect('"lost"')
            libvirtd.start()
            program.expect('"reopened"')
            program.expect('"stats"')
            self.assertEqual(self.check(program.stdout.seen), {"connection", "state", "stats"})
            program.end(TERMINATE)

    def test_refuses_what_is_not_a_record(self):
        record = {"time": "2026-01-31T12:00:00.123Z", "uri": URI, "event": "reboot", "domain": "test",
                  "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f"}
        whole = jsonschema.Draft202012Validator(SCHEMA)
        whole.validate(record)
        for change in ({"time": "2026-01-31 12:00:00+0000"}, {"uuid": "?"}, {"event": "nosuch"}, {"other": 1}):
            with self.subTest(change):
                self.assertFalse(whole.is_valid({**record, **change}))

    def test_has_the_events_that_the_program_has_and_newer_ones(self):
        """Which events there are depends on the libvirt that the program is built with."""
        self.assertLessEqual({*run_events("--list")[1]} | OWN_RECORDS, {*definitions()})

    def test_has_the_fields_that_templates_have(self):
        with open(f"{SOURCE}/tools/events/record_format.cpp", encoding="utf-8") as source:
            table = re.search(r"kFields\[\] = \{(.*?)\};", source.read(), re.DOTALL)[1]
        members = {member for definition in definitions().values() for member in definition["properties"]}
        self.assertEqual({*re.findall(r'"(\w+)"', table)}, members | {"json", "text"})


if __name__ == "__main__":
    unittest.main()
