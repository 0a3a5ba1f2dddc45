#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-events where its surroundings fail it: closed fds, full pipes, dead files, limits, an odd clock.

The synthetic events are some two thousand at once, more than a pipe holds. No daemon is needed.
"""

import array
import fcntl
import json
import os
import re
import resource
import shutil
import socket
import tempfile
import termios
import time
import unittest

from program import INTERRUPT, LIMIT, Program, READY, TERMINATE, TIME, events, run_events
from relay import Relay, UNANSWERED

URI = "test:///default"
SYNTHETIC = {"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"]}
SURROUNDINGS = os.environ["VIRT_UV_SURROUNDINGS"]
NOWHERE = "test+unix:///default?socket=/nonexistent/libvirt-sock"
LAST = "event 'rtc-change' for domain 'test': 424242"
NEVER_CONNECTED = 3
OTHER_USER = 54321  # nobody has it, so its processes are ours alone


def limit_of(kind, soft, hard):
    return lambda: resource.setrlimit(kind, (soft, hard))


class SleepingReader:
    """A pipe that nobody reads until it is asked to."""

    def __init__(self, size=65536):
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, size)
        self.size = size

    def wait_until_full(self):
        deadline = time.monotonic() + LIMIT
        while self.held() < self.size - 4096:
            if time.monotonic() > deadline:
                raise AssertionError(f"the pipe is not full: {self.held()} bytes")
            time.sleep(0.01)

    def held(self):
        number = array.array("i", [0])
        fcntl.ioctl(self.reading, termios.FIONREAD, number)
        return number[0]

    def given_to_a_program(self):
        os.close(self.writing)

    def lines(self):
        with open(self.reading, encoding="utf-8") as stream:
            for line in stream:
                yield line.rstrip("\n")


class ClosedFds(unittest.TestCase):
    def test_are_as_dev_null(self):
        for fds in ([0], [1], [2], [0, 1, 2]):
            with self.subTest(fds):
                status, _, _ = run_events("--demo", preexec_fn=lambda fds=fds: [os.close(fd) for fd in fds])
                self.assertEqual(status, 0)


class AsAnotherUser(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be another user")
        # A copy, as that user may be barred from the build tree.
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(self.folder, 0o755)
        self.program = shutil.copy(os.environ["VIRT_UV_EVENTS"], self.folder)
        shutil.copy(os.environ["VIRT_UV_LIBRARY"], os.path.join(self.folder, "libvirt-uv.so.0"))

    def watch(self, *arguments, threads=1000, **environment):
        def become_another_user():
            resource.setrlimit(resource.RLIMIT_NPROC, (threads, threads))
            os.setgroups([])
            os.setgid(OTHER_USER)
            os.setuid(OTHER_USER)

        return Program(self.program, *arguments, env={"LD_LIBRARY_PATH": self.folder, **environment},
                       preexec_fn=become_another_user)

    def test_threads_that_cannot_be_started_make_connections_wait_and_are_told_once(self):
        with Relay() as dead:
            dead.let_everybody_in()
            uris = [word for _ in range(60) for word in ("-c", f"test+unix:///default?socket={dead.socket}")]
            with self.watch(*uris, threads=40) as started:
                started.expect_said("no more than", "threads can be started")
                dead.wait_for(UNANSWERED, 30, LIMIT)
                self.assertEqual(started.end(TERMINATE), NEVER_CONNECTED)
                self.assertEqual(sum("threads can be" in line for line in started.stderr.seen), 1)

    def test_an_alias_of_libvirt_s_configuration_is_a_connection(self):
        """Root's configuration is the machine's; another user's is where XDG_CONFIG_HOME says."""
        os.mkdir(os.path.join(self.folder, "libvirt"))
        with open(os.path.join(self.folder, "libvirt", "libvirt.conf"), "w", encoding="utf-8") as configuration:
            configuration.write(f'uri_aliases = ["local={URI}"]\n')
        with self.watch("-c", "local", XDG_CONFIG_HOME=self.folder) as program:
            program.expect("local: connection opened")
            self.assertEqual(program.end(TERMINATE), 0)


class OpenFiles(unittest.TestCase):
    def test_the_soft_limit_is_raised_to_the_hard_one(self):
        with events("-c", URI, preexec_fn=limit_of(resource.RLIMIT_NOFILE, 64, 512)) as program:
            program.expect_said(READY)
            with open(f"/proc/{program.process.pid}/limits", encoding="ascii") as limits:
                self.assertRegex(limits.read(), r"Max open files +512 +512")
            self.assertEqual(program.end(TERMINATE), 0)

    def test_too_few_for_the_connections_are_refused_at_the_start_with_the_number_that_fits(self):
        for limit, connections in ((15, 1), (100, 60)):
            with self.subTest(limit):
                uris = [word for _ in range(connections) for word in ("-c", NOWHERE)]
                status, _, said = run_events(*uris, preexec_fn=limit_of(resource.RLIMIT_NOFILE, limit, limit))
                self.assertEqual((status, len(said)), (2, 1), said)
                self.assertRegex(said[0], rf"{connections} connections need \d+ open files, and the limit is {limit}: "
                                          r"\d+ of them fit")

    def test_the_number_that_is_said_to_fit_does(self):
        uris = [word for _ in range(60) for word in ("-c", NOWHERE)]
        limits = {"preexec_fn": limit_of(resource.RLIMIT_NOFILE, 100, 100)}
        _, _, said = run_events(*uris, **limits)
        fitting = int(re.search(r"(\d+) of them fit", said[0])[1])
        self.assertGreater(fitting, 5)
        with events(*uris[: 2 * fitting], **limits) as program:
            program.expect_said("cannot be opened")
            self.assertEqual(program.end(TERMINATE), NEVER_CONNECTED)


class AReaderThatSleeps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with events("-c", URI, "--json", "--domain", "test", env=SYNTHETIC) as program:
            program.expect('"utcoffset":424242')  # the last that is emitted
            cls.all = [cls.without_time(line) for line in program.stdout.seen]

    @staticmethod
    def without_time(line):
        return {name: value for name, value in json.loads(line).items() if name != "time"}

    def watch(self, *arguments, size=65536, **options):
        reader = SleepingReader(size)
        program = self.enterContext(events("-c", URI, "--json", "--domain", "test", *arguments, env=SYNTHETIC,
                                           stdout=reader.writing, **options))
        reader.given_to_a_program()
        reader.wait_until_full()
        return program, reader

    def test_does_not_keep_the_program_at_a_signal_and_what_it_misses_is_counted(self):
        for numbers in ((TERMINATE,), (INTERRUPT,), (TERMINATE, TERMINATE)):
            with self.subTest(numbers):
                program, reader = self.watch()
                for number in numbers:
                    program.signal(number)
                self.assertEqual(program.end(), 1)
                undelivered = int(re.search(r"(\d+) records were not delivered", program.stderr.seen[-1])[1])
                delivered = [self.without_time(line) for line in reader.lines() if line.endswith("}")]
                self.assertEqual(delivered, self.all[: len(delivered)])
                self.assertEqual(len(delivered) + undelivered, len(self.all))

    def test_does_not_keep_the_program_at_the_time_limit(self):
        program, _ = self.watch("--timeout", "2")
        self.assertEqual(program.end(), 1)

    def test_gets_all_that_is_queued_in_order_when_it_wakes(self):
        program, reader = self.watch()
        lines = reader.lines()
        self.assertEqual([self.without_time(next(lines)) for _ in self.all], self.all)
        self.assertEqual(program.end(TERMINATE), 0)

    def test_is_told_how_many_records_were_dropped_where_they_are_missing(self):
        program, reader = self.watch("--queue", "100000", size=4096)
        delivered, dropped = [], []
        lines = reader.lines()  # kept, for the pipe is closed with it
        for line in lines:
            record = self.without_time(line)
            (dropped if record["event"] == "dropped" else delivered).append(record)
            if sum(record["count"] for record in dropped) + len(delivered) == len(self.all):
                break
        self.assertEqual(len(dropped), 1, dropped)
        self.assertRegex(dropped[0]["since"], TIME + "$")
        self.assertEqual(delivered, self.all[: len(delivered)])
        self.assertEqual(program.end(TERMINATE), 0)

    def test_leaves_the_pipe_blocking_for_the_others_that_write_to_it(self):
        reader = SleepingReader()
        with events("-c", URI, stdout=reader.writing) as program:
            program.expect_said(READY)
            self.assertFalse(fcntl.fcntl(reader.writing, fcntl.F_GETFL) & os.O_NONBLOCK)

    def test_of_stderr_holds_up_no_event_and_not_the_end(self):
        reader = SleepingReader(4096)
        nowhere = [word for _ in range(100) for word in ("-c", NOWHERE)]
        with events("-c", URI, *nowhere, env=SYNTHETIC, stderr=reader.writing) as program:
            reader.given_to_a_program()
            program.expect(LAST)
            deadline = time.monotonic() + LIMIT
            while reader.held() == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(program.end(TERMINATE), 0)


class AFileOnADeadServer(unittest.TestCase):
    def test_does_not_keep_the_program(self):
        for numbers in ((TERMINATE,), (TERMINATE, TERMINATE)):
            with self.subTest(numbers), tempfile.TemporaryFile() as file:
                stuck = {"LD_PRELOAD": SURROUNDINGS, "VIRT_UV_STUCK_FD": "1"}
                with events("-c", URI, stdout=file, env=stuck) as program:
                    program.expect_said(READY)
                    for number in numbers:
                        program.signal(number)
                    self.assertEqual(program.end(), 1)
                    self.assertIn("records were not delivered", program.stderr.seen[-1])


class ASocketForOutput(unittest.TestCase):
    def test_whose_reader_goes_ends_the_program_with_status_1_and_a_line(self):
        ours, theirs = socket.socketpair()
        with events("-c", URI, stdout=theirs) as program:
            theirs.close()
            program.expect_said(READY)
            ours.close()
            self.assertEqual(program.end(), 1)
            self.assertIn("the reader of standard output has gone", program.stderr.seen[-1])

    def test_is_blocking_again_for_the_others_once_the_program_has_ended(self):
        ours, theirs = socket.socketpair()
        with ours, theirs, events("-c", URI, stdout=theirs) as program:
            program.expect_said(READY)
            self.assertEqual(program.end(TERMINATE), 0)
            self.assertFalse(fcntl.fcntl(theirs.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK)


class ANewerLibvirt(unittest.TestCase):
    """Than the one that the program was built with."""

    NEW_KINDS = {"network-metadata-change", "nic-mac-change", "vcpu-removed", "channel-lifecycle"}

    def test_has_kinds_of_events_that_are_named_once(self):
        missing = self.NEW_KINDS - {*run_events("--list")[1]}
        with events("-c", URI, "-c", URI, env={"LD_PRELOAD": SURROUNDINGS, "VIRT_UV_LIBVIRT": "12008000"}) as program:
            for _ in range(2):
                program.expect_said(READY)
            program.end(TERMINATE)
            said = [line for line in program.stderr.seen if "cannot watch: " in line]
        self.assertEqual({name for line in said for name in line.rpartition(": ")[2].split(", ")}, missing)
        self.assertEqual(len(said), 1 if missing else 0)

    def test_is_not_seen_where_there_is_none(self):
        with events("-c", URI) as program:
            program.expect_said(READY)
            program.end(TERMINATE)
            self.assertEqual(len(program.stderr.seen), 1)


class AClockBefore1970(unittest.TestCase):
    def test_is_printed_as_a_time(self):
        environment = {"LD_PRELOAD": SURROUNDINGS, "VIRT_UV_CLOCK": "-2"}
        with events("-c", URI, "--json", env=environment) as program:
            line = program.expect('"opened"')
            self.assertEqual(json.loads(line)["time"], "1969-12-31T23:59:58.750Z")
            program.end(TERMINATE)


if __name__ == "__main__":
    unittest.main()
