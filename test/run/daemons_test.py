#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons other than a bare libvirtd, on the default loop and under virt-uv-run: what they do is the same.

virtlogd, which keeps the logs of domains; libvirtd with the QEMU driver; and virtqemud, virtnetworkd and virtproxyd,
which take its place where libvirt is modular. Debian up to 13 builds these three, and packages none: their tests are
skipped where they are not installed.

Environment: as daemon.py."""

import contextlib
import pathlib
import shutil
import signal
import socket
import struct
import time
import unittest

from daemon import DEFAULT, NUMBER, REPLACED, Daemon, serve, served
from program import LIMIT
from qemu import QemuLibvirtd, QemuMachine

AT_RANDOM = 25  # of linux/auxvec.h
BOOTED = "No bootable device."
# Nothing is made for it on the machine.
NETWORK = "<network><name>test</name><forward mode='bridge'/><bridge name='br-test'/></network>"


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return unittest.skipIf(missing, f"{', '.join(missing)}: not installed")


def comes(holds):
    """Waits until that holds; False: it does not."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def has_line(path, line):
    """Once it has come into that file."""
    return comes(lambda: path.exists() and line in path.read_text(encoding="utf-8", errors="replace"))


class QemuDaemon(Daemon, QemuLibvirtd):
    def start_domain(self, name):
        self.define(name)
        self.virsh(f"start {name}")


class NetworkDaemon(Daemon):
    OBJECTS = "network"
    TWO_EVENTS = ("net-start test", "net-destroy test")

    @staticmethod
    def uri_of(path):
        return f"network+unix:///system?socket={path}"


def drawn_for(pid):
    """The random bytes that the kernel has put into the process's memory at its last exec (AT_RANDOM of getauxval(3)),
    so that one exec can be told from another, also where addresses are fixed. None: it is within an exec."""
    try:
        auxiliary = pathlib.Path(f"/proc/{pid}/auxv").read_bytes()
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(dict(struct.iter_unpack("@2L", auxiliary))[AT_RANDOM])
            return memory.read(16)
    except (OSError, KeyError):
        return None


class Pair(unittest.TestCase):
    """The same on each of the two loops; the daemon says afterwards that it has run ours."""

    maxDiff = None

    def compare(self, program, see, expected):
        seen = []
        for launcher in (DEFAULT, REPLACED):
            with contextlib.ExitStack() as stack:
                last, log = see(stack, launcher)
                seen.append(last)
                self.assertEqual(log.count(f"virt-uv-run: {program}["), int(launcher is REPLACED), log)
        self.assertEqual(seen, [expected] * 2)


@needs("virtqemud")
class Virtqemud(Pair):
    def test_with_many_clients_serves_the_same_and_ends_the_same(self):
        def see(stack, launcher):
            daemon = stack.enter_context(QemuDaemon(launcher=launcher, program="virtqemud"))
            daemon.start_domain("test")
            return serve(daemon, NUMBER), daemon.log()
        self.compare("virtqemud", see, served(NUMBER))


@needs("virtnetworkd")
class Virtnetworkd(Pair):
    def test_with_many_clients_serves_the_same_and_ends_the_same(self):
        def see(stack, launcher):
            machine = stack.enter_context(QemuMachine(["network"]))
            daemon = stack.enter_context(NetworkDaemon(launcher=launcher, machine=machine, program="virtnetworkd"))
            network = pathlib.Path(machine.path("network.xml"))
            network.write_text(NETWORK, encoding="utf-8")
            daemon.virsh(f"net-define {network}")
            return serve(daemon, NUMBER), daemon.log()
        self.compare("virtnetworkd", see, served(NUMBER))


@needs("virtproxyd", "virtqemud")
class Virtproxyd(Pair):
    def test_with_many_clients_passes_the_same_on_to_virtqemud(self):
        def see(stack, launcher):
            machine = stack.enter_context(QemuMachine(["qemu"]))
            stack.enter_context(QemuDaemon(launcher=launcher, machine=machine, program="virtqemud"))
            proxy = stack.enter_context(QemuDaemon(launcher=launcher, machine=machine, program="virtproxyd"))
            proxy.start_domain("test")
            return serve(proxy, NUMBER), proxy.log()
        self.compare("virtproxyd", see, served(NUMBER))


class Virtlogd(Pair):
    """Its clients are other daemons, each for as long as it has a domain's log opened. On SIGUSR1 it becomes itself by
    exec, and keeps its clients and its files: with --follow the loop stays replaced."""

    def test_keeps_its_clients_and_a_domains_console_also_when_it_starts_anew(self):
        def see(stack, launcher):
            machine = stack.enter_context(QemuMachine(["qemu"], "logd"))
            logs = stack.enter_context(Daemon(launcher=launcher and [*launcher, "--follow"], machine=machine,
                                              program="virtlogd"))
            domains = stack.enter_context(QemuDaemon(machine=machine))
            fds = logs.fds()
            clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(NUMBER)]
            for client in clients:
                client.connect(logs.socket)
            logs.wait_for_clients(NUMBER)
            domains.start_domain("test")
            console = pathlib.Path(domains.console_log("test"))
            seen = [has_line(console, BOOTED), any(file.endswith(f"/{console.name}") for file in logs.files())]
            self.start_anew(logs)
            logs.wait_for_clients(NUMBER)
            console.write_text("", encoding="utf-8")
            domains.virsh("reset test")
            seen.append(has_line(console, BOOTED))
            domains.virsh("destroy test")
            for client in clients:
                client.close()
            logs.wait_for_clients(0)
            return [*seen, logs.fds() - fds, logs.end()], logs.log()
        self.compare("virtlogd", see, [True, True, True, 0, 0])

    def start_anew(self, logs):
        before = drawn_for(logs.pid)
        self.assertIsNotNone(before)
        logs.signal(signal.SIGUSR1)
        self.assertTrue(comes(lambda: drawn_for(logs.pid) not in (None, before)))


if __name__ == "__main__":
    unittest.main()
