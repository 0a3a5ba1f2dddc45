#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that nobody here wrote, on libvirt's default loop and under virt-uv-run: what they do is the same.

Environment: as daemon.py."""

import os
import pty
import select
import signal
import sys
import unittest

from daemon import CONNECTIONS, DEFAULT, NUMBER, PIPES, REPLACED, STATISTICS, Daemon, serve, served, tell
from program import INTERRUPT, LIMIT, Program, run

PERL_EXAMPLE = "/usr/share/doc/libsys-virt-perl/examples/events.pl"
PROMPT = b"virsh # "
# Its event loop is GLib's, by libvirt-glib.
GLIB_PROGRAM = """
import sys
import gi
import libvirt
gi.require_version("LibvirtGLib", "1.0")
from gi.repository import GLib, LibvirtGLib

def on_event(_connection, domain, event, detail, _opaque):
    print(domain.name(), event, detail, flush=True)
    if event == libvirt.VIR_DOMAIN_EVENT_RESUMED:
        loop.quit()

LibvirtGLib.event_register()
loop = GLib.MainLoop()
connection = libvirt.open(sys.argv[1])
connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, None)
domain = connection.lookupByName("test")
domain.suspend()
domain.resume()
loop.run()
"""


class Terminal:
    """virsh on a terminal."""

    def __init__(self, *command):
        self._master, slave = pty.openpty()
        self.program = Program(*command, stdin=slave, stdout=slave, stderr=slave, env={"TERM": "dumb"})
        os.close(slave)

    def says(self):
        """What it says until it waits for a command, or ends."""
        said = b""
        while not said.endswith(PROMPT):
            if not select.select([self._master], [], [], LIMIT)[0]:
                raise AssertionError(f"no prompt, and no end: {said}")
            try:
                said += os.read(self._master, 4096)
            except OSError:  # EIO: nobody has the other end open any more
                break
        return said

    def type(self, keys):
        os.write(self._master, keys)

    def close(self):
        os.close(self._master)
        return self.program.end()


class Clients(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.libvirtd = cls.enterClassContext(Daemon(launcher=DEFAULT))

    def pair(self, *command, **options):
        """The program on each of the two loops, at once."""
        return [self.enterContext(Program(*start, *command, **options)) for start in (DEFAULT, REPLACED)]

    def reach(self, programs):
        """Makes events until each program has printed one; libvirtd.reach() for what prints names without quotes."""
        for number in range(1000):
            name = f"perl-{number}"
            self.libvirtd.define(name)
            try:
                for program in programs:
                    program.expect(f" {name} ", limit=1)
                return name
            except AssertionError:
                continue
        raise AssertionError("some program prints no events")

    def replaced(self, program):
        self.assertEqual(len([line for line in program.stderr.seen if STATISTICS in line]), 1, program.stderr.seen)

    def test_virsh_event_prints_the_same(self):
        programs = self.pair("virsh", "-c", self.libvirtd.uri, "event", "--all", "--loop")
        first = self.libvirtd.reach(*programs)
        for _ in range(10):
            self.libvirtd.virsh("suspend test", "resume test", "desc test --live --title -- x", "destroy test",
                                "start test")
        self.libvirtd.define("last")
        lines = []
        for program in programs:
            program.expect("'last'")
            seen = program.stdout.seen
            lines.append(seen[max(i for i, line in enumerate(seen) if f"'{first}'" in line):])
        self.assertGreater(len(lines[0]), 50)
        self.assertEqual(*lines)
        ends = [program.end(INTERRUPT) for program in programs]
        self.assertEqual(*ends)
        self.replaced(programs[1])

    def test_a_virsh_session_says_the_same(self):
        commands = ["list --all", "domstate test", "suspend test", "domstate test", "resume test", "dumpxml test",
                    "event test lifecycle --timeout 1", "no-such-command", "domstate no-such-domain", "echo end",
                    "connect test:///default", "list", "quit"]
        said = []
        for program in self.pair("virsh", "-c", self.libvirtd.uri, **PIPES):
            for command in commands:
                program.process.stdin.write(command + "\n")
            program.process.stdin.close()
            status = program.end()
            said.append((status, program.stdout.seen,
                         [line for line in program.stderr.seen if STATISTICS not in line]))
        self.assertEqual(*said)
        self.assertIn("event loop timed out", "\n".join(said[0][1] + said[0][2]))
        self.replaced(program)

    def test_virsh_on_a_terminal_says_the_same(self):
        said = []
        for start in (DEFAULT, REPLACED):
            terminal = Terminal(*start, "virsh", "-c", self.libvirtd.uri)
            lines = [terminal.says()]
            for keys in (b"list --all\n", b"doms\ttest\n", b"event test lifecycle --timeout 1\n",
                         b"suspend test\n", b"resume test\n", b"quit\n"):
                terminal.type(keys)
                lines.append(terminal.says())
            lines[-1] = [line for line in lines[-1].split(b"\r\n") if STATISTICS.encode() not in line]
            said.append((terminal.close(), lines))
        self.assertEqual(*said)
        self.assertIn(b"event loop timed out", said[0][1][3])

    def test_a_program_on_libvirt_glib_is_left_alone(self):
        said = []
        for start in (DEFAULT, REPLACED):
            status, lines, errors = run(*start, sys.executable, "-c", GLIB_PROGRAM, self.libvirtd.uri)
            said.append((status, lines))
            self.assertEqual([line for line in errors if STATISTICS in line], [])
        self.assertEqual(*said)
        self.assertEqual(said[0][0], 0)
        self.assertEqual(len(said[0][1]), 2)

    def test_virt_admin_says_the_same(self):
        for words in (["server-list"], ["server-clients-info", "libvirtd"], ["daemon-log-filters"],
                      ["daemon-log-outputs"], ["client-list", "no-such-server"]):
            theirs, ours = [self.libvirtd.admin(*words, command=command) for command in (DEFAULT, REPLACED)]
            self.assertEqual(ours, theirs)

    def test_the_example_of_the_perl_bindings_prints_the_same_until_the_daemon_goes(self):
        perl = ["perl", "-e", "$| = 1; do shift @ARGV", PERL_EXAMPLE]
        programs = self.pair(*perl, self.libvirtd.uri)
        first = self.reach(programs)
        self.libvirtd.virsh("suspend test", "resume test", "destroy test", "start test")
        lines = []
        for program in programs:
            program.expect(" test 2 0")
        self.libvirtd.kill()
        ends = [program.end() for program in programs]
        self.libvirtd.start()
        for program in programs:
            seen = program.stdout.seen
            lines.append(seen[max(i for i, line in enumerate(seen) if f" {first} " in line):])
        self.assertEqual(*lines)
        self.assertIn("Closed reason=", lines[0][-1])
        self.assertEqual(ends, [0, 0])
        self.replaced(programs[1])

    def test_a_python_program_counts_the_same(self):
        programs = self.pair(sys.executable, CONNECTIONS, self.libvirtd.uri, 5, "domain", **PIPES)
        for program in programs:
            program.expect("open")
        self.libvirtd.virsh("suspend test", "resume test")
        self.assertEqual([tell(program, "events 2") for program in programs], ["events True 10"] * 2)
        self.assertEqual([tell(program, "calls") for program in programs], ["calls 5 5"] * 2)
        self.assertEqual([tell(program, "close") for program in programs], ["closed"] * 2)
        for program in programs:
            program.process.stdin.close()
            self.assertEqual(program.end(), 0)
        self.replaced(programs[1])


class Libvirtds(unittest.TestCase):
    maxDiff = None

    def test_with_many_clients_serve_the_same_and_end_the_same(self):
        seen = []
        for launcher in (DEFAULT, REPLACED):
            with Daemon(launcher=launcher) as libvirtd:
                seen.append(serve(libvirtd, NUMBER))
                log = libvirtd.log()
        self.assertEqual(seen, [served(NUMBER)] * 2)
        self.assertRegex(log, r"virt-uv-run: libvirtd\[\d+\]: iterations [1-9]")

    def test_close_a_client_that_keepalive_finds_dead(self):
        for launcher in (DEFAULT, REPLACED):
            with Daemon("keepalive_interval = 1\nkeepalive_count = 1\n", launcher) as libvirtd, \
                    libvirtd.open(2) as alive, libvirtd.open(3) as dead:
                for clients in (alive, dead):
                    clients.expect("open")
                dead.signal(signal.SIGSTOP)
                libvirtd.wait_for_clients(2)
                self.assertEqual(tell(alive, "calls"), "calls 2 2")


if __name__ == "__main__":
    unittest.main()
