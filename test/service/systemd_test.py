#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-events as a service: what it tells a service manager, and its unit.

The test is the service manager: it has the socket that NOTIFY_SOCKET names, and reads what comes (sd_notify(3)).
"""

import os
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

from program import LIMIT, TERMINATE, TIME, events, run_events

URI = "test:///default"
NOWHERE = "test+unix:///default?socket=/nonexistent/libvirt-sock"


class Manager:
    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(self.path)
        self.socket.settimeout(LIMIT)
        self.heard = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def start(self, *arguments, **environment):
        return events(*arguments, env={"NOTIFY_SOCKET": self.path, **environment})

    def expect(self, state):
        while True:
            self.heard.append(self.socket.recv(4096).decode())
            if state in self.heard[-1].split("\n"):
                return


class Notify(unittest.TestCase):
    def setUp(self):
        self.manager = self.enterContext(Manager(self.enterContext(tempfile.TemporaryDirectory())))

    def test_it_is_ready_once_its_connections_are_open_and_says_when_it_stops(self):
        with self.manager.start("-c", URI, "-c", URI) as program:
            self.manager.expect("READY=1")
            self.assertEqual(self.manager.heard[-2], "STATUS=2 of 2 connections open")
            program.signal(TERMINATE)
            self.manager.expect("STOPPING=1")
            self.assertEqual(program.end(), 0)

    def test_a_host_that_is_down_does_not_keep_it_from_being_ready(self):
        with self.manager.start("-c", NOWHERE, "-c", URI) as program:
            self.manager.expect("READY=1")
            self.assertIn("STATUS=1 of 2 connections open", self.manager.heard)
            self.assertEqual(program.end(TERMINATE), 0)

    def test_it_is_not_ready_twice(self):
        with self.manager.start("-c", NOWHERE) as program:
            for _ in range(3):
                program.expect_said("cannot be opened")
            program.signal(TERMINATE)
            self.manager.expect("STOPPING=1")
            self.assertEqual(self.manager.heard.count("READY=1"), 1)

    def test_its_loop_tells_the_watchdog_again_and_again(self):
        with self.manager.start("-c", URI, WATCHDOG_USEC="200000") as program:
            for _ in range(3):
                self.manager.expect("WATCHDOG=1")
            self.assertEqual(program.end(TERMINATE), 0)

    def test_a_watchdog_of_another_process_is_none_of_its(self):
        with self.manager.start("-c", URI, WATCHDOG_USEC="1000", WATCHDOG_PID="1") as program:
            self.manager.expect("READY=1")
            program.signal(TERMINATE)
            self.manager.expect("STOPPING=1")
            self.assertNotIn("WATCHDOG=1", self.manager.heard)

    def test_a_manager_that_has_gone_is_told_of_once_and_changes_nothing_else(self):
        os.unlink(self.manager.path)
        with self.manager.start("-c", URI, "--count", "1", "--state") as program:
            program.expect_said("the service manager cannot be told")
            self.assertEqual(program.end(TERMINATE), 4)
            self.assertEqual(sum("service manager" in line for line in program.stderr.seen), 1)


class Journal(unittest.TestCase):
    """Standard error is the journal where JOURNAL_STREAM names it (systemd.exec(5))."""

    def lines(self, *arguments, inode=0):
        with tempfile.TemporaryFile("w+") as file:
            status = os.fstat(file.fileno())
            stream = f"{status.st_dev}:{inode or status.st_ino}"
            run_events(*arguments, "--timeout", "1", stderr=file, env={"JOURNAL_STREAM": stream})
            file.seek(0)
            return file.read().splitlines()

    def test_gets_the_priority_of_each_line_in_place_of_the_time(self):
        self.assertEqual([line[:3] for line in self.lines("-c", URI)], ["<6>"])
        self.assertRegex(self.lines("-c", NOWHERE)[0], "^<4>test.*: cannot be opened")
        self.assertRegex(self.lines("-c", NOWHERE, "--no-reconnect")[0], "^<3>test.*: cannot be opened")

    def test_of_another_stream_is_none_of_its(self):
        self.assertRegex(self.lines("-c", URI, inode=1)[0], TIME)


class Unit(unittest.TestCase):
    """The unit as it is installed, with the program that was built."""

    def setUp(self):
        text = pathlib.Path(os.environ["VIRT_UV_UNIT"]).read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={os.environ['VIRT_UV_EVENTS']}", text, flags=re.M)
        self.unit = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "virt-uv-events@local.service")
        self.unit.write_text(text, encoding="utf-8")

    def analyze(self, *arguments):
        result = subprocess.run(["systemd-analyze", *arguments, str(self.unit)], capture_output=True, text=True,
                                timeout=LIMIT, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_systemd_finds_nothing_wrong_with_it(self):
        self.assertEqual(self.analyze("verify", "--man=no"), "")

    def test_systemd_calls_its_exposure_ok(self):
        self.assertIn("Overall exposure level", self.analyze("security", "--offline=true", "--threshold=20"))


if __name__ == "__main__":
    unittest.main()
