# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon of libvirt's with many clients, on the loop that it was started with, and what was seen of it.

Environment: VIRT_UV_RUN_PROGRAM; VIRT_UV_STRESS, a factor for the connections (below 1 counts as 1)."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from libvirtd import Libvirtd
from program import LIMIT, Program, run

DEFAULT, REPLACED = [], [os.environ["VIRT_UV_RUN_PROGRAM"], "--stats"]
STATISTICS = ": iterations "
CONNECTIONS = pathlib.Path(__file__).with_name("connections.py")
STRESS = max(1, float(os.environ.get("VIRT_UV_STRESS", "1")))
NUMBER = int(300 * STRESS)
PIPES = {"stdin": subprocess.PIPE}


def tell(program, line):
    program.process.stdin.write(line + "\n")
    program.process.stdin.flush()
    return program.expect(line.split()[0])


class Daemon(Libvirtd):
    """One of libvirt's daemons. Its clients look at domains, of which one is called `test`."""

    OBJECTS = "domain"
    TWO_EVENTS = ("suspend test", "resume test")

    def admin(self, *words, command=()):
        uri = f"{self.program}:///system?socket={self.admin_socket}"
        status, said, errors = run(*command, "virt-admin", "-c", uri, *words)
        return status, said, [line for line in errors if STATISTICS not in line]

    def clients(self):
        _, said, _ = self.admin("server-clients-info", self.program)
        return int(re.search(r"nclients +: (\d+)", "\n".join(said))[1])

    def wait_for_clients(self, number):
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if self.clients() == number:
                return
        raise AssertionError(f"{self.clients()} clients, not {number}")

    def files(self):
        """What its fds are."""
        return [os.readlink(fd) for fd in pathlib.Path(f"/proc/{self.pid}/fd").iterdir()]

    def fds(self):
        """All except eventfds: the loop keeps the number of a removed watch for a second, with one behind it."""
        return sum(file != "anon_inode:[eventfd]" for file in self.files())

    def memory(self):
        """Of the process's own, in KiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1])

    def log(self):
        return pathlib.Path(self._path("log")).read_text(encoding="utf-8")

    def open(self, number):
        """A program with so many connections."""
        return Program(sys.executable, CONNECTIONS, self.uri, number, self.OBJECTS, **PIPES)


def serve(daemon, number):
    """What is seen of a daemon with so many clients, from its start to its end."""
    daemon.wait_for_clients(0)
    fds = daemon.fds()
    with daemon.open(number // 2) as killed, daemon.open(number // 2) as closed:
        groups = (killed, closed)
        for group in groups:
            group.expect("open")
        seen = [daemon.clients()]
        daemon.virsh(*daemon.TWO_EVENTS)
        seen += [tell(group, "events 2") for group in groups]
        seen += [tell(group, "calls") for group in groups]
        killed.process.kill()
        daemon.wait_for_clients(number // 2)
        daemon.signal(signal.SIGHUP)
        daemon.virsh(*daemon.TWO_EVENTS)
        seen += [tell(closed, "events 4"), tell(closed, "calls"), tell(closed, "close")]
    daemon.wait_for_clients(0)
    seen.append(daemon.fds() - fds)
    with daemon.open(3) as last:
        last.expect("open")
        seen.append(daemon.end())
    return seen


def served(number):
    """What has to be seen."""
    half = number // 2
    return [number, *[f"events True {number}"] * 2, *[f"calls {half} {half}"] * 2,
            f"events True {2 * number}", f"calls {half} {half}", "closed", 0, 0]
