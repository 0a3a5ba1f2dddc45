# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of a host in another language: each case is a program of its own in that language.

Environment: VIRT_UV_SOURCE, the repository; VIRT_UV_LIBRARY, the library under test.
"""

import os
import pathlib
import textwrap
import unittest

from libvirtd import Libvirtd
from program import INTERRUPT, Program, run

SOURCE = pathlib.Path(os.environ["VIRT_UV_SOURCE"])


class HostTestCase(unittest.TestCase):
    maxDiff = None
    interpreter = ()  # its last argument is the program's text
    environment = {}
    begin = ""  # of every program

    def command(self, program):
        return [*self.interpreter, textwrap.dedent(self.begin) + textwrap.dedent(program)]

    def run_program(self, program):
        """Its status, and the lines of its standard output and error."""
        return run(*self.command(program), env=self.environment)

    def check(self, program, *printed):
        """It prints these lines, says nothing on stderr, and ends with 0."""
        self.assertEqual(self.run_program(program), (0, list(printed), []))

    def check_example(self, *command):
        """Every example prints the events of a connection's domains until it is interrupted, and ends in order. Here
        the connection is to a private libvirtd, and virsh suspends and resumes its domain."""
        with Libvirtd() as libvirtd, Program(*command, libvirtd.uri, env=self.environment) as program:
            program.expect("watching")
            for _ in range(10):
                libvirtd.virsh("suspend test", "resume test")
                program.expect("test: suspended")
                program.expect("test: resumed")
            self.assertEqual(program.end(INTERRUPT), 0)
            self.assertEqual(program.stderr.seen, [])
