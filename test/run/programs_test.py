#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that nobody here wrote, on libvirt's default loop and under virt-uv-run: what they do is the same.

Environment: VIRT_UV_RUN_PROGRAM; VIRT_UV_STRESS, a factor for the connections to libvirtd (below 1 counts as 1)."""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time
import unittest

from libvirtd import Libvirtd
from program import INTERRUPT, LIMIT, Program, run

DEFAULT, REPLACED = [], [os.environ["VIRT_UV_RUN_PROGRAM"], "--stats"]
STATISTICS = ": iterations "
CONNECTIONS = pathlib.Path(__file__).with_name("connections.py")
PERL_EXAMPLE = "/usr/share/doc/libsys-virt-perl/examples/events.pl"
NUMBER = int(300 * max(1, float(os.environ.get("VIRT_UV_STRESS", "1"))))
PIPES = {"stdin": subprocess.PIPE}
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


class Daemon(Libvirtd):
    """libvirtd, started by that command."""

    def __init__(self, command, configuration=""):
        super().__init__(configuration)
        self._run = command

    def _command(self):
        return [*self._run, *super()._command()]

    def admin(self, *words, command=()):
        uri = f"libvirtd:///system?socket={self.folder}/libvirt-admin-sock"
        status, said, errors = run(*command, "virt-admin", "-c", uri, *words)
        return status, said, [line for line in errors if STATISTICS not in line]

    def clients(self):
        _, said, _ = self.admin("server-clients-info", "libvirtd")
        return int(re.search(r"nclients +: (\d+)", "\n".join(said))[1])

    def wait_for_clients(self, number):
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if self.clients() == number:
                return
        raise AssertionError(f"{self.clients()} clients, not {number}")

    def fds(self):
        """All except eventfds: the loop keeps the number of a removed watch for a second, with one behind it."""
        folder = pathlib.Path(f"/proc/{self.process.pid}/fd")
        return sum(os.readlink(fd) != "anon_inode:[eventfd]" for fd in folder.iterdir())

    def log(self):
        return pathlib.Path(self._path("log")).read_text(encoding="utf-8")


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


def tell(program, line):
    program.process.stdin.write(line + "\n")
    program.process.stdin.flush()
    return program.expect(line.split()[0])


class Clients(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.libvirtd = cls.enterClassContext(Daemon(DEFAULT))

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
        programs = self.pair(sys.executable, CONNECTIONS, self.libvirtd.uri, 5, **PIPES)
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

    def open(self, libvirtd, number):
        program = self.enterContext(Program(sys.executable, CONNECTIONS, libvirtd.uri, number, **PIPES))
        program.expect("open")
        return program

    def serve(self, command):
        """What was seen of a libvirtd with many clients, from its start to its end."""
        with Daemon(command) as libvirtd:
            libvirtd.wait_for_clients(0)
            fds = libvirtd.fds()
            groups = [self.open(libvirtd, NUMBER // 2) for _ in range(2)]
            seen = [libvirtd.clients()]
            libvirtd.virsh("suspend test", "resume test")
            seen += [tell(group, "events 2") for group in groups]
            seen += [tell(group, "calls") for group in groups]
            groups[0].process.kill()
            libvirtd.wait_for_clients(NUMBER // 2)
            libvirtd.process.send_signal(signal.SIGHUP)
            libvirtd.virsh("suspend test", "resume test")
            seen += [tell(groups[1], "events 4"), tell(groups[1], "calls"), tell(groups[1], "close")]
            libvirtd.wait_for_clients(0)
            seen.append(libvirtd.fds() - fds)
            last = self.open(libvirtd, 3)
            libvirtd.process.send_signal(signal.SIGTERM)
            seen.append(libvirtd.process.wait(LIMIT))
            last.process.kill()
            return seen, libvirtd.log()

    def test_with_many_clients_serve_the_same_and_end_the_same(self):
        theirs, _ = self.serve(DEFAULT)
        ours, log = self.serve(REPLACED)
        half = NUMBER // 2
        self.assertEqual(theirs, [NUMBER, *[f"events True {NUMBER}"] * 2, *[f"calls {half} {half}"] * 2,
                                  f"events True {2 * NUMBER}", f"calls {half} {half}", "closed", 0, 0])
        self.assertEqual(ours, theirs)
        self.assertRegex(log, r"virt-uv-run: libvirtd\[\d+\]: iterations [1-9]")

    def test_close_a_client_that_keepalive_finds_dead(self):
        for command in (DEFAULT, REPLACED):
            with Daemon(command, "keepalive_interval = 1\nkeepalive_count = 1\n") as libvirtd:
                alive, dead = self.open(libvirtd, 2), self.open(libvirtd, 3)
                dead.signal(signal.SIGSTOP)
                libvirtd.wait_for_clients(2)
                self.assertEqual(tell(alive, "calls"), "calls 2 2")


if __name__ == "__main__":
    unittest.main()
