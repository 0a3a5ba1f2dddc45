#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-events on a real libvirtd: events over the wire, many connections, keepalive, losses, states, and the end."""

import json
import os
import re
import time
import unittest

from libvirtd import Libvirtd
from program import INTERRUPT, LIMIT, READY, TERMINATE, TIME, Program, events, run
from relay import CLIENT_PING, SERVER_PING, SERVER_PONG, UNANSWERED, Relay

VIRSH_TIME = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000"
LIVES = ["suspend test", "resume test", "desc test --live --title -- changed", "reboot test", "destroy test",
         "start test", "undefine test-2"]


def without_time(lines):
    return [re.sub(f"({TIME} |{VIRSH_TIME}: )", "", line) for line in lines]


class OnALibvirtd(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.libvirtd = self.enterContext(Libvirtd())

    def watch(self, *arguments, uri=None):
        """virt-uv-events on one connection, open and subscribed."""
        program = self.enterContext(events("-c", uri or self.libvirtd.uri, *arguments))
        program.expect_said(READY)
        return program


class Events(OnALibvirtd):
    def test_over_the_wire_are_those_that_virsh_prints_and_in_its_order(self):
        virsh = self.enterContext(Program("virsh", "-c", self.libvirtd.uri, "event", "--all", "--loop", "--timestamp"))
        ours = self.watch()
        first = self.libvirtd.reach(virsh, ours)
        self.libvirtd.define("test-2")
        self.libvirtd.virsh(*LIVES)
        for _ in range(10):
            self.libvirtd.virsh("suspend test", "resume test", "destroy test", "start test")
        self.libvirtd.define("last")

        def since_first(program):
            program.expect("'last'")
            lines = without_time(program.stdout.seen)
            begin = max(number for number, line in enumerate(lines) if f"'{first}'" in line)
            return lines[begin:]

        theirs = since_first(virsh)
        self.assertGreater(len(theirs), 45)
        self.assertEqual([line.replace(f"{self.libvirtd.uri}: ", "", 1) for line in since_first(ours)], theirs)

    def test_of_three_connections_come_in_one_loop(self):
        uris = [f"{self.libvirtd.uri}&name=test:///default", self.libvirtd.uri, "test:///default"]
        program = self.enterContext(events("--json", *(word for uri in uris for word in ("-c", uri))))
        for _ in uris:
            program.expect_said(READY)
        self.libvirtd.virsh("suspend test", "resume test")
        seen = {uri: [] for uri in uris}
        while not all(len(seen[uri]) == 2 for uri in uris[:2]):
            event = json.loads(program.expect('"event":"lifecycle"'))
            seen[event["uri"]].append(event["detail"])
        self.assertEqual([*seen.values()], [["Paused", "Unpaused"], ["Paused", "Unpaused"], []])
        self.assertEqual(program.end(INTERRUPT), 0)

    def test_that_were_asked_for_are_printed_and_no_others(self):
        program = self.enterContext(events("-c", self.libvirtd.uri, "-e", "metadata-change", "-e", "metadata-change"))
        while not any("metadata-change" in line for line in program.stdout.seen):
            self.libvirtd.virsh("suspend test", "resume test", "desc test --live --title -- changed")
            try:
                program.expect("metadata-change", limit=1)
            except AssertionError:
                pass  # it was not subscribed yet
        self.libvirtd.virsh("suspend test", "resume test", "desc test --live --title -- again")
        program.expect("metadata-change")
        others = [line for line in program.stdout.seen if "'metadata-change'" not in line]
        self.assertEqual(len(others), 1, others)
        self.assertIn("connection opened", others[0])

    def test_are_counted_and_the_last_one_ends_the_program(self):
        program = self.watch("--count", "3")
        self.libvirtd.virsh(*["suspend test", "resume test"] * 5)
        self.assertEqual((program.end(), sum(": event '" in line for line in program.stdout.seen)), (0, 3))


class Keepalive(OnALibvirtd):
    def test_keeps_an_idle_connection_up(self):
        with Relay(self.libvirtd.socket) as relay:
            program = self.watch("--keepalive", "1:2", uri=Libvirtd.uri_of(relay.socket))
            relay.wait_for(SERVER_PONG, 4, LIMIT)
            self.libvirtd.virsh("suspend test")
            program.expect("Suspended Paused")
            self.assertEqual((program.end(INTERRUPT), len(program.stderr.seen)), (0, 1))

    def test_finds_out_that_a_host_has_fallen_silent(self):
        with Relay(self.libvirtd.socket) as relay:
            program = self.watch("--keepalive", "1:1", "--no-reconnect", uri=Libvirtd.uri_of(relay.socket))
            relay.wait_for(SERVER_PONG, 1, LIMIT)
            relay.fall_silent()
            program.expect("connection lost: ", "keepalive")
            program.expect_said("lost: ", "keepalive")
            self.assertEqual(program.end(), 1)

    def test_of_0_asks_nothing(self):
        with Relay(self.libvirtd.socket) as relay:
            program = self.watch("--keepalive", "0:0", uri=Libvirtd.uri_of(relay.socket))
            relay.wait_for(SERVER_PING, 2, LIMIT)
            self.assertEqual((program.end(INTERRUPT), relay.count(CLIENT_PING)), (0, 0))


class Losses(OnALibvirtd):
    def test_are_reported_and_the_connection_comes_back_and_no_event_comes_twice(self):
        program = self.watch()
        for number in range(2):
            self.libvirtd.define(f"before-{number}")
            program.expect(f"'before-{number}'")
            self.libvirtd.kill()
            program.expect_said("lost: End of file while reading data", "trying again in")
            self.libvirtd.start()
            program.expect_said(READY)
            self.libvirtd.define(f"after-{number}")
            program.expect(f"'after-{number}'")
        self.assertEqual(program.end(INTERRUPT), 0)
        told = [line.split("'")[3] if "'" in line else line.split(": ", 2)[1] for line in program.stdout.seen]
        self.assertEqual(told, ["connection opened", "before-0", "connection lost", "connection reopened", "after-0",
                                "before-1", "connection lost", "connection reopened", "after-1"])

    def test_of_one_connection_leave_the_others_alone(self):
        with Relay(self.libvirtd.socket) as relay:
            broken, whole = Libvirtd.uri_of(relay.socket), self.libvirtd.uri
            program = self.enterContext(events("-c", broken, "-c", whole, "--keepalive", "1:1"))
            program.expect_said(READY)
            program.expect_said(READY)
            relay.fall_silent()
            program.expect_said(broken, "lost: ")
            self.libvirtd.virsh("suspend test")
            self.assertIn(whole, program.expect("Suspended Paused"))
            self.assertEqual(program.end(INTERRUPT), 0)

    def test_end_the_program_with_status_1_where_it_may_not_reconnect(self):
        program = self.watch("--no-reconnect")
        self.libvirtd.kill()
        self.assertEqual(program.end(), 1)
        self.assertEqual(len(program.stderr.seen), 2)
        self.assertIn("lost: End of file", program.stderr.seen[1])


class States(OnALibvirtd):
    """--state: what a consumer needs to know what it missed."""

    def told(self, program, until):
        """The JSON records from here up to the one that has this in it."""
        records = []
        while True:
            line = program.expect("")
            records.append(json.loads(line))
            if until in line:
                return records

    def test_come_when_a_connection_is_opened_and_after_each_reopening_as_virsh_words_them(self):
        self.watch()  # the test driver forgets its domains with its last connection
        self.libvirtd.define("stopped")
        self.libvirtd.virsh("suspend test")
        program = self.watch("--state", "--json")
        self.libvirtd.define("mark")
        first = self.told(program, '"mark"')
        self.assertEqual([record["event"] for record in first], ["connection", "state", "state", "lifecycle"])
        states = {record["domain"]: record for record in first[1:3]}
        self.assertEqual({*states}, {"test", "stopped"})
        for name, record in states.items():
            _, printed, _ = run("virsh", "-c", self.libvirtd.uri, "domstate", "--reason", name)
            self.assertEqual(f"{record['state']} ({record['reason']})", printed[0])
        self.assertEqual((states["test"]["id"], states["stopped"]["id"]), (1, None))

        self.libvirtd.kill()
        self.libvirtd.start()
        again = self.told(program, '"domain":"test"')
        self.assertEqual([(record["event"], record.get("state")) for record in again],
                         [("connection", "lost"), ("connection", "reopened"), ("state", "running")])

    def test_in_text_have_the_domain_s_name_and_the_reason(self):
        program = self.watch("--state")
        self.assertIn("state of domain 'test': running (", program.expect("state of"))

    def test_lose_no_event_that_comes_while_they_are_listed(self):
        """Suspended and Resumed alternate, so an event that is lost or comes twice shows; the last one is the truth."""
        with self.libvirtd.storm("suspend test", "resume test"):
            programs = [self.enterContext(events("-c", self.libvirtd.uri, "--state", "--json", "-e", "lifecycle"))
                        for _ in range(5)]
            for program in programs:
                for _ in range(40):
                    program.expect('"lifecycle"')
        self.libvirtd.define("last")
        _, printed, _ = run("virsh", "-c", self.libvirtd.uri, "domstate", "test")
        for program in programs:
            program.expect('"last"')
            records = [json.loads(line) for line in program.stdout.seen]
            self.assertEqual(sum(record["event"] == "state" for record in records), 1)
            types = [record["type"] for record in records if record.get("domain") == "test" and "type" in record]
            self.assertEqual(types, ([types[0]] + ["Resumed" if types[0] == "Suspended" else "Suspended", types[0]] *
                                     len(types))[: len(types)])
            self.assertEqual(types[-1], {"paused": "Suspended", "running": "Resumed"}[printed[0]])

    def test_come_before_an_event_that_comes_while_they_are_listed(self):
        slow = f"{self.libvirtd.folder}/slow"
        with open(slow, "w", encoding="utf-8"):
            surroundings = {"LD_PRELOAD": os.environ["VIRT_UV_SURROUNDINGS"], "VIRT_UV_SLOW_LIST": slow}
        other = self.watch()
        program = self.enterContext(events("-c", self.libvirtd.uri, "--state", "--json", env=surroundings))
        deadline = time.monotonic() + LIMIT
        while not os.path.exists(f"{slow}.read"):
            self.assertLess(time.monotonic(), deadline, "the states are never listed")
        self.libvirtd.virsh("suspend test")
        self.libvirtd.reach(other)
        os.unlink(slow)
        records = self.told(program, '"mark-')
        told = [(record["event"], record.get("state") or record["type"]) for record in records]
        self.assertEqual(told[:3], [("connection", "opened"), ("state", "running"), ("lifecycle", "Suspended")])


class OneDomain(OnALibvirtd):
    def test_alone_is_watched_by_name_or_uuid_though_it_does_not_exist_yet(self):
        uuid = "11111111-2222-3333-4444-555555555555"
        for choice in ("wanted", uuid, uuid.replace("-", "").upper()):
            with self.subTest(choice), events("-c", self.libvirtd.uri, "--domain", choice, "--state") as program:
                program.expect_said(READY)
                self.libvirtd.define("other")
                self.libvirtd.define("wanted", uuid)
                self.libvirtd.virsh("undefine other", "undefine wanted")
                program.expect("Undefined")
                self.assertEqual([line for line in program.stdout.seen[1:] if "'wanted'" not in line], [])


class Format(OnALibvirtd):
    def test_fills_in_the_fields_of_each_event_and_nothing_else(self):
        template = "{{{event}}} {domain} {type}/{detail} {nsuri}{local.node}{params.x} {uri}"
        program = self.watch("--format", template)
        self.libvirtd.virsh("suspend test", "desc test --live --title -- changed")
        program.expect("title")
        self.assertEqual(program.stdout.seen, [f"{{lifecycle}} test Suspended/Paused  {self.libvirtd.uri}",
                                               f"{{metadata-change}} test title/  {self.libvirtd.uri}"])

    def test_has_the_whole_record_as_text_and_as_json(self):
        program = self.watch("--format", "{text}|{json}")
        self.libvirtd.virsh("suspend test")
        text, record = program.expect("").split("|")
        self.assertEqual(text, "event 'lifecycle' for domain 'test': Suspended Paused")
        self.assertEqual(json.loads(record)["detail"], "Paused")


class Stats(OnALibvirtd):
    def test_count_connections_and_events(self):
        nowhere = Libvirtd.uri_of("/nonexistent/socket")
        program = self.enterContext(events("-c", self.libvirtd.uri, "-c", nowhere, "--stats", "1", "--json"))
        program.expect_said(READY)
        self.libvirtd.virsh("suspend test", "resume test")
        program.expect("Resumed")
        stats = json.loads(program.expect('"stats"'))
        self.assertEqual({name: stats[name] for name in ("connections", "open", "events", "dropped")},
                         {"connections": 2, "open": 1, "events": 2, "dropped": 0})


class OutOfFiles(OnALibvirtd):
    def test_a_connection_is_not_left_open_and_deaf(self):
        """libvirt opens it without a watch on its socket, and says nothing."""
        full, socket = f"{self.libvirtd.folder}/full", f"{self.libvirtd.folder}/comes-later"
        surroundings = {"LD_PRELOAD": os.environ["VIRT_UV_SURROUNDINGS"], "VIRT_UV_NO_DUPLICATES": full}
        program = self.enterContext(events("-c", Libvirtd.uri_of(socket), env=surroundings))
        program.expect_said("cannot be opened", "trying again in")
        with open(full, "w", encoding="utf-8"):
            os.symlink(self.libvirtd.socket, socket)
        program.expect_said("cannot be watched")
        os.unlink(full)
        self.libvirtd.reach(program)
        self.assertEqual(program.end(INTERRUPT), 0)


class HostsThatDoNotAnswer(OnALibvirtd):
    def setUp(self):
        super().setUp()
        self.dead = self.enterContext(Relay())
        self.dead_uri = Libvirtd.uri_of(self.dead.socket)

    def test_hold_up_no_other_connection_however_many_they_are(self):
        arguments = [word for _ in range(10) for word in ("-c", self.dead_uri)]
        program = self.enterContext(events(*arguments, "-c", self.libvirtd.uri))
        program.expect_said(READY)
        self.libvirtd.virsh("suspend test")
        program.expect("Suspended Paused")
        self.assertEqual(program.end(TERMINATE), 0)
        left = [line for line in program.stderr.seen if "left behind while it was being opened" in line]
        self.assertEqual((len(left), len(program.stderr.seen)), (10, 11))

    def test_are_left_behind_at_the_second_signal_while_they_are_opened(self):
        program = self.enterContext(events("-c", self.dead_uri))
        self.dead.wait_for(UNANSWERED, 1, LIMIT)
        program.signal(INTERRUPT)
        self.assertEqual(program.end(INTERRUPT), 3)
        self.assertIn("left behind while it was being opened", program.stderr.seen[-1])

    def test_are_left_behind_at_the_second_signal_while_they_are_closed(self):
        with Relay(self.libvirtd.socket) as relay:
            program = self.watch("--keepalive", "0:0", uri=Libvirtd.uri_of(relay.socket))
            relay.fall_silent()
            program.signal(INTERRUPT)
            relay.wait_for(UNANSWERED, 1, LIMIT)
            self.assertEqual(program.end(INTERRUPT), 0)
            self.assertIn("left behind while it was being closed", program.stderr.seen[-1])


class AStorm(OnALibvirtd):
    COMMANDS = ["suspend test", "resume test"]
    WRAPPER = []

    def weather(self, ending):
        program = self.enterContext(Program(*self.WRAPPER, os.environ["VIRT_UV_EVENTS"], "-c", self.libvirtd.uri))
        program.expect_said(READY)
        with self.libvirtd.storm(*self.COMMANDS):
            for _ in range(200):
                program.expect("")
            status = ending(program)
        self.check(program, status)

    def check(self, program, status):
        details = [line.rsplit(" ", 1)[1] for line in program.stdout.seen if "'lifecycle' for domain 'test'" in line]
        self.assertEqual(details, (["Paused", "Unpaused"] * len(details))[: len(details)])
        self.assertEqual((status, len(program.stderr.seen)), (0, 1), program.stderr.seen)

    def test_is_left_in_good_order_at_sigterm(self):
        self.weather(lambda program: program.end(TERMINATE))

    def test_is_left_in_good_order_at_sigint(self):
        self.weather(lambda program: program.end(INTERRUPT))


@unittest.skipIf(os.environ.get("VIRT_UV_SANITIZED"), "a sanitizer and valgrind do not go together")
class UnderValgrind(AStorm):
    """Nothing is lost, and nothing used that was freed. Memory that libraries keep for the whole process is not ours.

    The storm is over before the end: the program's last second is too short for it under valgrind. It has so many
    events and no more, for libvirtd gives up a client that is half a minute behind: its ping comes after them."""

    WRAPPER = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
               "--show-leak-kinds=definite", "--child-silent-after-fork=yes", "--fair-sched=yes"]

    def weather(self, ending):
        program = self.enterContext(Program(*self.WRAPPER, os.environ["VIRT_UV_EVENTS"], "-c", self.libvirtd.uri,
                                            "-e", "lifecycle"))
        program.expect_said(READY)
        self.libvirtd.virsh(*self.COMMANDS * 200)
        self.libvirtd.define("last")
        program.expect("'last'")
        self.check(program, ending(program))


class OutputInAStorm(OnALibvirtd):
    def test_that_head_has_read_enough_of_ends_the_program_quietly(self):
        reading, writing = os.pipe()
        with open(writing, "w") as pipe, open(reading) as head:
            program = self.enterContext(events("-c", self.libvirtd.uri, stdout=pipe))
            pipe.close()
            program.expect_said(READY)
            with self.libvirtd.storm("suspend test", "resume test"):
                self.assertIn("connection opened", head.readline())
                self.assertIn("Suspended Paused", head.readline())
                head.close()
                self.assertEqual(program.end(), 0)
                self.assertEqual(len(program.stderr.seen), 1, program.stderr.seen)


if __name__ == "__main__":
    unittest.main()
