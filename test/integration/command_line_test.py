#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-events by itself: its options, its exit statuses, and what becomes of its output. No daemon is needed."""

import json
import os
import signal
import tempfile
import unittest

from program import INTERRUPT, READY, TERMINATE, TIME, domain_kinds, events, run, run_events

NEVER_CONNECTED, COUNT_NOT_REACHED = 3, 4
HANG_UP = signal.SIGHUP
NOWHERE = "test+unix:///default?socket=/nonexistent/libvirt-sock"
BAD_INPUT = {
    "an unknown event": (["-e", "nosuch"], "'nosuch'"),
    "an unknown event in a list": (["-e", "lifecycle,nosuch"], "'nosuch'"),
    "a glob that stands for nothing": (["--event", "nosuch-*"], "'nosuch-*'"),
    "an empty list of events": (["-e", ""], "empty"),
    "a hole in a list of events": (["-e", "lifecycle,,reboot"], "''"),
    "an empty domain": (["--domain", ""], "--domain"),
    "a domain where no event is about one": (["--domain", "test", "-e", "network-*"], "--domain"),
    "a queue that is too small": (["--queue", "10"], "'10'"),
    "a queue that is no number": (["--queue", "1k"], "'1k'"),
    "statistics every 0 seconds": (["--stats", "0"], "--stats"),
    "a template with an open brace": (["--format", "{time"], "'{'"),
    "a template with a closing brace": (["--format", "time}"], "'}'"),
    "a template with an unknown field": (["--format", "{nosuch}"], "'nosuch'"),
    "a program beside JSON": (["--exec", "/bin/true", "--json"], "--exec"),
    "a template for JSON": (["--format", "{time}", "--json"], "--format"),
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


    def test_beside_good_input_ends_the_program_all_the_same(self):
        status, _, said = run_events("-c", "test:///default", "-e", "lifecycle", "-c", "://")
        self.assertEqual((status, [line for line in said if READY not in line]),
                         (2, ["virt-uv-events: -c: '://' is not a libvirt URI: "
                              "internal error: Unable to parse URI ://"]))


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
        for option in ("-c", "--connect", "-e", "--event", "--domain", "--state", "--list", "--json", "--format",
                       "--exec",
                       "--count", "--timeout", "--stats", "--queue", "--keepalive", "--no-reconnect", "--quiet",
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
        self.assertEqual(len(printed), 1 + len(self.OUTCOMES))
        self.assertRegex(printed[0], TIME + " test:///default: connection opened$")
        for line, outcome in zip(printed[1:], self.OUTCOMES):
            self.assertRegex(line, TIME + " test:///default: event '")
            self.assertIn(outcome, line)

    def test_prints_json_too(self):
        status, printed, _ = run_events("--demo", "--json")
        self.assertEqual((status, len(printed)), (0, 1 + len(self.OUTCOMES)))
        opened, first = json.loads(printed[0]), json.loads(printed[1])
        self.assertEqual([*opened], ["time", "uri", "event", "state"])
        self.assertEqual((opened["event"], opened["state"]), ("connection", "opened"))
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
            program.expect_said(READY)
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
                self.assertEqual((status, len(said)), (1, 1), said)
                self.assertRegex(said[0].lower(), "virt-uv-events: stdout cannot be written: no space left on device")

    def test_goes_to_a_file_too(self):
        with tempfile.TemporaryFile("w+") as file:
            status, _, _ = run_events("--demo", stdout=file)
            file.seek(0)
            self.assertEqual((status, len(file.readlines())), (0, 1 + len(Demo.OUTCOMES)))


class WithoutADaemon(unittest.TestCase):
    def test_a_connection_is_tried_again_after_pauses_that_grow(self):
        with events("-c", NOWHERE) as program:
            said = [program.expect_said(NOWHERE, "cannot be opened: Failed to connect socket", "trying again in")
                    for _ in range(3)]
            pauses = [float(line.split()[-2]) for line in said]
            self.assertLess(pauses[0], pauses[2])
            self.assertEqual(program.end(INTERRUPT), NEVER_CONNECTED)

    def test_no_reconnect_fails_once_no_connection_is_left(self):
        status, printed, said = run_events("--no-reconnect", "-c", NOWHERE, "-c", NOWHERE)
        self.assertEqual((status, printed, len(said)), (1, [], 2), said)
        for line in said:
            self.assertRegex(line, "cannot be opened: Failed to connect socket to '/nonexistent/libvirt-sock'")

    def test_the_default_connection_is_the_one_that_libvirt_takes_by_default(self):
        _, _, said = run_events("--no-reconnect", env={"LIBVIRT_DEFAULT_URI": NOWHERE})
        self.assertIn("/nonexistent/libvirt-sock", said[0])

    def test_every_signal_that_asks_for_an_end_ends_it_with_status_0(self):
        for number in (INTERRUPT, TERMINATE, HANG_UP):
            with self.subTest(number), events("-c", "test:///default") as program:
                program.expect_said(READY)
                self.assertEqual(program.end(number), 0)

    def test_nohup_keeps_it_from_ending_at_sighup(self):
        with events("-c", "test:///default", preexec_fn=lambda: signal.signal(HANG_UP, signal.SIG_IGN)) as program:
            program.expect_said(READY)
            program.signal(HANG_UP)
            self.assertIsNone(program.process.poll())
            self.assertEqual(program.end(TERMINATE), 0)


class ExitStatus(unittest.TestCase):
    def test_at_the_time_limit_is_0_where_a_connection_was_open(self):
        status, _, _ = run_events("--timeout", "1", "-c", "test:///default", "-e", "lifecycle")
        self.assertEqual(status, 0)

    def test_is_3_where_no_connection_was_ever_open(self):
        for arguments in (["-c", NOWHERE], ["-c", "foo:///bar"], ["-c", NOWHERE, "--count", "1"]):
            with self.subTest(arguments):
                self.assertEqual(run_events("--timeout", "1", *arguments)[0], NEVER_CONNECTED)

    def test_is_4_where_the_count_was_not_reached(self):
        arguments = ["-c", "test:///default", "--count", "1"]
        self.assertEqual(run_events(*arguments, "--timeout", "1")[0], COUNT_NOT_REACHED)
        with events(*arguments) as program:
            program.expect_said(READY)
            self.assertEqual(program.end(TERMINATE), COUNT_NOT_REACHED)


class EventsThatADriverDoesNotOffer(unittest.TestCase):
    def test_are_named_only_where_they_were_asked_for_by_name(self):
        for choice, named in (([], None), (["-e", "lifecycle,secret-*"], None),
                              (["-e", "lifecycle,secret-lifecycle"], "the driver does not offer: secret-lifecycle")):
            with self.subTest(choice), events("-c", "test:///default", *choice) as program:
                program.expect_said(READY)
                self.assertEqual(program.end(TERMINATE), 0)
                said = program.stderr.seen[:-1]
                self.assertEqual(len(said), 1 if named else 0, said)
                if named:
                    self.assertTrue(said[0].endswith(named), said)

    def test_are_a_failure_where_no_others_were_asked_for(self):
        status, _, said = run_events("-c", "test:///default", "-e", "secret-lifecycle")
        self.assertEqual((status, len(said)), (1, 1))
        self.assertIn("offers none of the events asked for", said[0])


class StandardError(unittest.TestCase):
    def test_has_a_line_with_a_time_once_a_connection_is_open_and_subscribed(self):
        with events("-c", "test:///default", "-e", "lifecycle,reboot") as program:
            line = program.expect_said(READY)
            self.assertRegex(line, TIME + " virt-uv-events: test:///default: open, 2 kinds of events$")
            program.end(TERMINATE)

    def test_is_empty_with_quiet_where_nothing_is_wrong(self):
        with events("-c", "test:///default", "--quiet") as program:
            program.expect("connection opened")
            self.assertEqual((program.end(TERMINATE), program.stderr.seen), (0, []))


class Choice(unittest.TestCase):
    """On libvirt's test driver within the process, whose domain the demonstration changes: it knows -e and no more."""

    def test_lists_and_globs_choose_kinds(self):
        for choice, number in (("lifecycle,reboot", 2), ("pm-*", 3), ("pm-*,pm-wakeup", 3), ("[br]*-change", 2),
                               ("block-job*,lifecycle", 3)):
            with self.subTest(choice), events("--connect", "test:///default", "--event", choice) as program:
                program.expect_said(READY, f"open, {number} kinds")
                program.end(TERMINATE)


class Exec(unittest.TestCase):
    SYNTHETIC = {"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"]}

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.program = os.path.join(self.folder, "hook")

    def write(self, *lines):
        with open(self.program, "w") as hook:
            hook.write("\n".join(["#!/bin/sh", "unset LD_PRELOAD", *lines]) + "\n")
        os.chmod(self.program, 0o755)
        return ["-c", "test:///default", "--exec", self.program]

    def test_runs_the_program_for_each_record_in_order_with_its_fields(self):
        hook = self.write('read -r line', 'echo "$VIRT_UV_EVENT|$VIRT_UV_STATE|$VIRT_UV_DEV_ALIAS|$line"')
        last = domain_kinds()[-1]  # with it the synthetic events begin
        with events(*hook, "-e", f"tray-change,memory-device-size-change,{last}", env=self.SYNTHETIC) as program:
            opened = program.expect("connection|opened||")
            self.assertEqual(json.loads(opened.split("|", 3)[3])["event"], "connection")
            lines = [program.expect("|").split("|")[:3] for _ in range(7)]
            self.assertEqual(lines, [["memory-device-size-change", "", ""]] * 2 + [["tray-change", "", "hda"]] * 5)
            self.assertEqual(program.end(TERMINATE), 0)

    def test_runs_one_at_a_time_and_delivers_what_waits(self):
        hook = self.write("read -r line", "echo begin", "echo end $VIRT_UV_DOMAIN")
        with events(*hook, "--state") as program:
            program.expect("end test")
            self.assertEqual(program.end(TERMINATE), 0)
            self.assertEqual(program.stdout.seen, ["begin", "end", "begin", "end test"])

    def test_goes_on_where_the_program_fails_or_does_not_read(self):
        hook = self.write("echo run", "exit 7")
        with events(*hook, "--state") as program:
            program.expect_said("hook ended with status 7")
            program.expect_said("hook ended with status 7")
            self.assertEqual(program.end(TERMINATE), 0)

    def test_of_a_program_that_cannot_be_run_is_a_failure(self):
        status, _, said = run_events("-c", "test:///default", "--exec", "/nonexistent/hook")
        self.assertEqual(status, 1)
        self.assertTrue(said[-1].endswith("--exec: '/nonexistent/hook' cannot be run: no such file or directory"), said)

    def test_of_a_program_that_does_not_end_does_not_keep_this_one(self):
        hook = self.write("echo running", "exec sleep 3")
        with events(*hook) as program:
            program.expect("running")
            self.assertEqual(program.end(TERMINATE), 1)
            self.assertIn("the program of --exec has not ended", program.stderr.seen[-1])


if __name__ == "__main__":
    unittest.main()
