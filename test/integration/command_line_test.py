#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-events by itself: its options, its exit statuses, and what becomes of its output. No daemon is needed."""

import json
import os
import tempfile
import unittest

from program import INTERRUPT, TERMINATE, events, run, run_events

NOWHERE = "test+unix:///default?socket=/nonexistent/libvirt-sock"
BAD_INPUT = {
    "an unknown event": (["-e", "nosuch"], "'nosuch'"),
    "a count that is no number": (["--count", "x"], "'x'"),
    "a count of 0": (["--count", "0"], "'0'"),
    "a negative count": (["--count", "-1"], "'-1'"),
    "an empty count": (["--count", ""], "''"),
    "a count beyond all numbers": (["--count", "99999999999999999999"], "99999999999999999999"),
    "a broken second": (["--timeout", "1.5"], "'1.5'"),
    "a timeout of 0": (["--timeout", "0"], "'0'"),
    "a keepalive without a count": (["--keepalive", "5"], "INTERVAL:COUNT"),
    "a keepalive with an empty count": (["--keepalive", "5:"], "COUNT"),
    "a negative keepalive": (["--keepalive", "-1:5"], "INTERVAL"),
    "an unknown option": (["--bogus"], "--bogus"),
    "a stray word": (["stray"], "stray"),
    "an option without its value": (["-c"], "-c"),
    "an empty URI": (["-c", ""], "empty"),
    "a malformed URI": (["-c", "not a uri"], "'not a uri'"),
    "a URI without a driver": (["-c", "nonsense"], "'nonsense'"),
    "an unknown transport": (["-c", "test+pigeon:///default"], "pigeon"),
    "a malformed URI beside a good one": (["-c", "test:///default", "-e", "lifecycle", "-c", "://"], "'://'"),
    "the demonstration of something": (["--demo", "-c", "test:///default"], "--demo"),
}


class BadInput(unittest.TestCase):
    def test_is_answered_with_one_line_that_names_it_and_status_2(self):
        for what, (arguments, named) in BAD_INPUT.items():
            with self.subTest(what):
                status, printed, said = run_events(*arguments)
                self.assertEqual((status, printed, len(said)), (2, [], 1), said)
                self.assertTrue(said[0].startswith("virt-uv-events: "), said)
                self.assertIn(named, said[0])


class Information(unittest.TestCase):
    def test_list_names_the_domain_events_that_virsh_names_in_its_order(self):
        status, listed, _ = run_events("--list")
        virsh = [line for line in run("virsh", "-c", "test:///default", "event", "--list")[1] if line]
        self.assertEqual((status, listed[: len(virsh)]), (0, virsh))

    def test_list_names_the_events_of_the_other_families_as_virsh_does_with_the_family_in_front(self):
        families = {"network": "net-event", "pool": "pool-event", "nodedev": "nodedev-event", "secret": "secret-event"}
        expected = []
        for family, command in families.items():
            names = run("virsh", "-c", "test:///default", command, "--list")[1]
            expected += [f"{family}-{name}" for name in names if name]
        listed = run_events("--list")[1]
        self.assertEqual(listed[-len(expected):], expected)

    def test_help_names_every_option(self):
        status, text, said = run_events("--help")
        self.assertEqual((status, said), (0, []))
        for option in ("-c", "-e", "--list", "--json", "--count", "--timeout", "--keepalive", "--no-reconnect",
                       "--demo", "--help", "--version"):
            self.assertIn(option, "\n".join(text))

    def test_version_names_the_program_and_the_libraries(self):
        status, text, _ = run_events("--version")
        self.assertEqual((status, len(text)), (0, 1))
        self.assertRegex(text[0], r"^virt-uv-events \d+\.\d+\.\d+ \(libvirt \d+\.\d+\.\d+, libuv \d+\.\d+\.\d+\)$")


class Demo(unittest.TestCase):
    OUTCOMES = ["Suspended Paused", "Resumed Unpaused", "title", "Stopped Destroyed", "Started Booted",
                "network default: Stopped", "network default: Started", "storage pool default-pool"]

    def test_prints_an_event_for_each_thing_it_does_and_exits_0(self):
        status, printed, said = run_events("--demo")
        self.assertEqual((status, said), (0, []))
        self.assertEqual(len(printed), len(self.OUTCOMES))
        for line, outcome in zip(printed, self.OUTCOMES):
            self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000 test:///default: event '")
            self.assertIn(outcome, line)

    def test_prints_json_too(self):
        status, printed, _ = run_events("--demo", "--json")
        self.assertEqual((status, len(printed)), (0, len(self.OUTCOMES)))
        first = json.loads(printed[0])
        self.assertEqual([*first], ["time", "uri", "event", "domain", "uuid", "type", "detail"])
        self.assertEqual((first["uri"], first["event"], first["domain"], first["type"], first["detail"]),
                         ("test:///default", "lifecycle", "test", "Suspended", "Paused"))

    def test_fails_when_its_events_do_not_come(self):
        """The synthetic events take the place of libvirt's registrations, so nothing that the demo does is heard of."""
        status, _, said = run_events("--demo", env={"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"]})
        self.assertEqual(status, 1)
        self.assertIn("the demonstration failed: suspending the domain: no event 'lifecycle' has come", said[-1])


class Output(unittest.TestCase):
    def test_that_nobody_reads_any_more_ends_the_program_quietly_before_an_event_comes(self):
        reading, writing = os.pipe()
        with open(writing, "w") as pipe, events("-c", "test:///default", stdout=pipe) as program:
            pipe.close()
            program.expect_said("the driver does not offer")
            os.close(reading)
            self.assertEqual((program.end(), len(program.stderr.seen)), (0, 1))

    def test_that_nobody_reads_ends_the_program_quietly_when_an_event_comes(self):
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w") as pipe:
            status, _, said = run_events("--demo", stdout=pipe)
        self.assertEqual((status, said), (0, []))

    def test_that_finds_the_disk_full_ends_the_program_with_one_line_and_status_1(self):
        for arguments in (["--demo"], ["--demo", "--json"], ["--list"], ["--help"], ["--version"]):
            with self.subTest(arguments), open("/dev/full", "w") as full:
                status, _, said = run_events(*arguments, stdout=full)
                self.assertEqual((status, said),
                                 (1, ["virt-uv-events: stdout can't be written: No space left on device"]))

    def test_goes_to_a_file_too(self):
        with tempfile.TemporaryFile("w+") as file:
            status, _, _ = run_events("--demo", stdout=file)
            file.seek(0)
            self.assertEqual((status, len(file.readlines())), (0, len(Demo.OUTCOMES)))


class WithoutADaemon(unittest.TestCase):
    def test_a_connection_is_tried_again_after_pauses_that_grow(self):
        with events("-c", NOWHERE) as program:
            said = [program.expect_said(NOWHERE, "cannot be opened: Failed to connect socket", "trying again in")
                    for _ in range(3)]
            pauses = [float(line.split()[-2]) for line in said]
            self.assertLess(pauses[0], pauses[2])
            self.assertEqual(program.end(INTERRUPT), 0)

    def test_no_reconnect_fails_once_no_connection_is_left(self):
        status, printed, said = run_events("--no-reconnect", "-c", NOWHERE, "-c", NOWHERE)
        self.assertEqual((status, printed, len(said)), (1, [], 2), said)
        for line in said:
            self.assertRegex(line, "cannot be opened: Failed to connect socket to '/nonexistent/libvirt-sock'")

    def test_the_default_connection_is_the_one_that_libvirt_takes_by_default(self):
        _, _, said = run_events("--no-reconnect", env={"LIBVIRT_DEFAULT_URI": NOWHERE})
        self.assertIn("/nonexistent/libvirt-sock", said[0])

    def test_timeout_ends_it_with_status_0(self):
        self.assertEqual(run_events("--timeout", "1", "-c", "test:///default", "-e", "lifecycle"), (0, [], []))

    def test_both_signals_end_it_with_status_0(self):
        for number in (INTERRUPT, TERMINATE):
            with self.subTest(number), events("-c", "test:///default") as program:
                program.expect_said("the driver does not offer")
                self.assertEqual(program.end(number), 0)


class EventsThatADriverDoesNotOffer(unittest.TestCase):
    def test_are_named_once(self):
        status, _, said = run_events("-c", "test:///default", "--timeout", "1")
        self.assertEqual((status, said), (0, ["virt-uv-events: test:///default: the driver does not offer: "
                                              "secret-lifecycle, secret-value-changed"]))

    def test_are_a_failure_where_no_others_were_asked_for(self):
        status, _, said = run_events("-c", "test:///default", "-e", "secret-lifecycle")
        self.assertEqual((status, len(said)), (1, 1))
        self.assertIn("offers none of the events asked for", said[0])


if __name__ == "__main__":
    unittest.main()
