#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""stress_libvirtd.cpp on a real libvirtd, which is killed, stopped and started beside it."""

import os
import subprocess
import unittest

from libvirtd import Libvirtd
from program import LIMIT, Program

STRESS = max(1, int(float(os.environ.get("VIRT_UV_STRESS", "1"))))
CONNECTIONS = 3000 * STRESS
KILLED = 20 * STRESS
STOPPED = 4 * STRESS


class ConnectionsOnSeveralThreads(unittest.TestCase):
    def drive(self, libvirtd, what, count):
        return Program(os.environ["VIRT_UV_STRESS_LIBVIRTD"], what, libvirtd.uri, count, stdin=subprocess.PIPE)

    def ended(self, program, *parts, limit=LIMIT):
        print(program.expect(*parts, limit=limit))
        self.assertEqual(program.process.wait(LIMIT), 0)

    @staticmethod
    def answer(program):
        program.process.stdin.write("back\n")
        program.process.stdin.flush()

    def test_come_and_go_and_are_closed_by_their_own_by_other_threads_and_inside_callbacks(self):
        with Libvirtd() as libvirtd, self.drive(libvirtd, "calls", CONNECTIONS) as program:
            self.ended(program, f"{CONNECTIONS} connections, {CONNECTIONS // 3} closed inside",
                       limit=LIMIT * 4 * STRESS)

    def test_end_when_the_daemon_is_killed_in_the_middle_of_calls(self):
        with Libvirtd() as libvirtd, self.drive(libvirtd, "killed", KILLED) as program:
            for number in range(KILLED):
                program.expect(f"round {number + 1} ready")
                libvirtd.kill()
                program.expect(f"round {number + 1} lost")
                libvirtd.start()
                self.answer(program)
            self.ended(program, f"{4 * KILLED} connections lost")

    def test_end_with_the_keepalive_reason_when_the_daemon_is_stopped(self):
        with Libvirtd() as libvirtd, self.drive(libvirtd, "stopped", STOPPED) as program:
            for number in range(STOPPED):
                program.expect(f"round {number + 1} ready")
                libvirtd.pause()
                program.expect(f"round {number + 1} lost")
                libvirtd.resume()
                self.answer(program)
            self.ended(program, f"{4 * STOPPED} connections lost")


if __name__ == "__main__":
    unittest.main()
