#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every kind of event with every value, printed by virsh and by virt-uv-events: the words must be the same.

synthetic_events.cpp, preloaded into both, delivers the events; virsh is the truth.
"""

import json
import os
import re
import unittest

from program import TERMINATE, TIME, Program, events

PRELOADED = {"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"]}
HOSTILE = {**PRELOADED, "VIRT_UV_HOSTILE": "1"}
URI = "test:///default"
VIRSH_TIME = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000"
LAST_OF_DOMAINS = "event 'rtc-change' for domain 'test': 424242"

# Kind, the virsh command that prints it, and how many events come.
OTHER_FAMILIES = {
    "network-lifecycle": (["net-event", "--event", "lifecycle"], 7),
    "network-metadata-change": (["net-event", "--event", "metadata-change"], 12),
    "pool-lifecycle": (["pool-event", "--event", "lifecycle"], 9),
    "pool-refresh": (["pool-event", "--event", "refresh"], 1),
    "nodedev-lifecycle": (["nodedev-event", "--event", "lifecycle"], 7),
    "nodedev-update": (["nodedev-event", "--event", "update"], 1),
    "secret-lifecycle": (["secret-event", "--event", "lifecycle"], 5),
    "secret-value-changed": (["secret-event", "--event", "value-changed"], 1),
}


def virsh_lines(*arguments, until):
    """What virsh prints, with its timestamps cut off."""
    with Program("virsh", "-c", URI, *arguments, "--loop", "--timestamp", env=PRELOADED) as virsh:
        until(virsh)
        return [spell_kind_out(re.sub(VIRSH_TIME + ": ", "", line)) for line in virsh.stdout.seen]


def spell_kind_out(line):
    """From libvirt 9.2 or so on, virsh prints io-error where it listed, and took, io-error-reason."""
    return re.sub("^event 'io-error'(?=.* due to )", "event 'io-error-reason'", line)


def our_lines(*arguments, until):
    """What virt-uv-events prints, with time and URI cut off."""
    with events("-c", URI, *arguments, env=PRELOADED) as program:
        until(program)
        seen = list(program.stdout.seen)
        assert program.end(TERMINATE) == 0
        assert seen[0].endswith(": connection opened"), seen[0]
        return [re.sub(f"{TIME} {URI}: ", "", line) for line in seen[1:]]


def expect_lines(number):
    return lambda program: [program.expect("") for _ in range(number)]


class Wording(unittest.TestCase):
    maxDiff = None

    def test_of_domain_events_is_virsh_s(self):
        theirs = virsh_lines("event", "--all", until=lambda program: program.expect(LAST_OF_DOMAINS))
        ours = our_lines(until=lambda program: program.expect(LAST_OF_DOMAINS))
        self.assertGreater(len(theirs), 1500)
        self.assertEqual(ours, theirs)

    def test_of_the_other_families_events_is_virsh_s(self):
        listed = Json.run_list()
        for kind, (command, number) in OTHER_FAMILIES.items():
            if kind not in listed:
                continue  # this libvirt is older
            with self.subTest(kind):
                theirs = virsh_lines(*command, until=expect_lines(number))
                self.assertEqual(our_lines("-e", kind, until=expect_lines(1 + number)), theirs)


class Json(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with events("-c", URI, "--json", env=HOSTILE) as program:
            program.expect('"utcoffset":424242')
            cls.lines = list(program.stdout.seen)
        cls.events = [json.loads(line) for line in cls.lines][1:]

    def of(self, kind, **fields):
        """The one event of this kind with these values."""
        found = [event for event in self.events
                 if event["event"] == kind and all(event[name] == value for name, value in fields.items())]
        self.assertEqual(len(found), 1, f"{kind} with {fields}")
        return found[0]

    def test_begins_with_time_uri_event_domain_and_uuid_in_every_domain_event(self):
        for event in self.events:
            self.assertEqual([*event][:5], ["time", "uri", "event", "domain", "uuid"])
            self.assertRegex(event["time"], TIME + "$")
            self.assertEqual((event["uri"], event["domain"]), (URI, "test"))
            self.assertRegex(event["uuid"], "^6695eb01-f6a4-8304-79aa-97f2502e193f$")

    def test_has_every_kind_of_domain_event(self):
        kinds = [line for line in self.run_list() if not line.startswith(("network-", "pool-", "nodedev-", "secret-"))]
        self.assertEqual(sorted({event["event"] for event in self.events}), sorted(kinds))

    @staticmethod
    def run_list():
        with events("--list") as program:
            program.end()
            return program.stdout.seen

    def test_spells_values_as_virsh_does(self):
        self.of("lifecycle", type="Suspended", detail="Post-copy Error")
        self.of("block-job-2", type="Active Block Commit", status="ready", disk="vda")
        self.of("watchdog", action="inject-nmi")
        self.of("agent-lifecycle", state="connected", reason="channel event")
        self.of("tray-change", reason="opened", devAlias="hda")

    def test_has_numbers_as_numbers_up_to_2_to_the_53_and_as_strings_beyond(self):
        """So no reader that keeps numbers as doubles, as jq and JavaScript do, rounds one."""
        self.of("rtc-change", utcoffset=-3600)
        self.of("rtc-change", utcoffset="9223372036854775807")
        self.of("balloon-change", actual=1048576)
        self.of("balloon-change", actual="18446744073709551615")
        self.of("block-threshold", path=None, dev="vda[1]", threshold=100, excess="18446744073709551615")
        self.of("memory-device-size-change", alias="virtiomem0", size="18446744073709551615")
        self.of("migration-iteration", iteration=7)

    def test_has_every_value_of_a_parameter_that_comes_more_than_once(self):
        self.of("job-completed", params={"disk": ["vda", "vdb", "vdc"], "number": 1})

    def test_has_null_where_libvirt_gives_nothing(self):
        self.of("disk-change", oldSrcPath=None, newSrcPath="/new", reason="dropped", devAlias="hda")
        self.of("metadata-change", type="title", nsuri=None)

    def test_has_lists_and_objects_where_libvirt_gives_them(self):
        parameters = {"int": -5, "uint": 4294967295, "llong": "-9223372036854775807", "ullong": "18446744073709551615",
                      "double": 0.1, "large": 1234567890123.5, "yes": True, "no": False,
                      "string": 'a string: with "quotes"'}
        self.of("tunable", params=parameters)
        self.of("job-completed", params=parameters)
        self.of("graphics", phase="disconnect", authScheme="sasl",
                local={"family": "IPv6", "node": "::1", "service": "5900"},
                remote={"family": "IPv6", "node": "::1", "service": "5900"},
                subject=[{"type": "x509dname", "name": "CN=someone"}, {"type": "saslUsername", "name": "joe"}])
        self.of("memory-failure", recipient="guest", action="fatal",
                flags={"action required": True, "recursive": False})

    def test_has_the_bytes_of_names_that_are_not_utf_8(self):
        """Two such names can be told apart, and one can be had back."""
        for number, path in enumerate((b"/a\xff", b"/a\xfe")):
            event = [event for event in self.events if event["event"] == "disk-change" and "bytes" in event][number]
            self.assertEqual(event["newSrcPath"], "/a\ufffd")
            self.assertEqual(event["bytes"], {"/newSrcPath": path.hex()})


class Text(unittest.TestCase):
    """What a guest's administrator can choose (names, metadata URIs, paths) must not act on the terminal."""

    def test_has_control_characters_escaped(self):
        with events("-c", URI, env=HOSTILE) as program:
            program.expect(LAST_OF_DOMAINS)
            seen = "\n".join(program.stdout.seen)
        self.assertIn("type element, uri http://evil/\\n2026-01-01 forged\\x1b[31m\\x7f\\xc2\\x9b", seen)
        self.assertIn("-> /a\\xff: changed", seen)
        self.assertNotRegex(seen, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")


if __name__ == "__main__":
    unittest.main()
