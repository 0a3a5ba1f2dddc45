#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many hosts in one virt-uv-events: connections to a private libvirtd, beside hosts that are dead from the start.

A live host is a symbolic link to the libvirtd's socket, so that each connection has a URI of its own. Half of the dead
ones refuse, and half take the connection and never answer. The dead ones come first on the command line.

As a program it opens them all, has an event from each, and prints what it measured: see doc/many-hosts.md.
"""

import argparse
import glob
import json
import os
import re
import resource
import socket
import tempfile
import time

from libvirtd import Libvirtd
from program import LIMIT, READY, TERMINATE, events, run_events
from relay import UNANSWERED, Relay

# A client that is not authenticated yet counts as anonymous.
CONFIGURATION = "max_clients = 4096\nmax_anonymous_clients = 4096\nmax_queued_clients = 4096\n"
PAGE, TICKS = resource.getpagesize(), os.sysconf("SC_CLK_TCK")


class ManyHosts:
    """The daemon and the URIs, for as long as the `with` block lasts."""

    def __init__(self, live, dead):
        self._counts = live, dead - dead // 2, dead // 2

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="virt-uv-hosts-")
        self._refusing = socket.socket(socket.AF_UNIX)
        self._refusing.bind(self._path("refuses"))  # and does not listen
        self._silent = Relay().__enter__()
        self.libvirtd = Libvirtd(CONFIGURATION).__enter__()
        live, refusing, silent = self._counts
        self.live = self._links("live", self.libvirtd.socket, live)
        self.refusing = self._links("refusing", self._path("refuses"), refusing)
        self.silent = self._links("silent", self._silent.socket, silent)
        return self

    def __exit__(self, *_):
        self.libvirtd.__exit__()
        self._silent.__exit__()
        self._refusing.close()
        self._folder.cleanup()

    def _path(self, name):
        return os.path.join(self._folder.name, name)

    def _links(self, kind, target, count):
        paths = [self._path(f"{kind}-{number}") for number in range(count)]
        for path in paths:
            os.symlink(target, path)
        return [Libvirtd.uri_of(path) for path in paths]

    def wait_for_silent_ones(self):
        """Each has been asked for something, and does not answer."""
        self._silent.wait_for(UNANSWERED, len(self.silent), LIMIT)

    def arguments(self):
        return [word for uri in self.refusing + self.silent + self.live for word in ("-c", uri)]

    def files_needed(self):
        """As the program counts them when it refuses to start."""
        _, _, said = run_events(*self.arguments(), preexec_fn=limit_files(16))
        return int(re.search(r"need (\d+) open files", said[0])[1])

    def watch(self, files, *arguments):
        """virt-uv-events on all of them, under this hard limit of open files."""
        return events("--json", *arguments, *self.arguments(), preexec_fn=limit_files(files))


def limit_files(files):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, 1024), files))


def wait_for_open(program, hosts, limit=LIMIT):
    """Returns the URIs in the order in which they were ready."""
    return [re.search(r"(\S+): open, ", program.expect(READY, stream=program.stderr, limit=limit))[1]
            for _ in hosts.live]


def deliver_one(program, hosts, name, limit=LIMIT):
    """Defines a domain, which each live host tells of. Returns the URIs that did."""
    hosts.libvirtd.define(name)
    return [json.loads(program.expect(f'"{name}"', limit=limit))["uri"] for _ in hosts.live]


def threads_of(process):
    """The names of its threads, without the kernel's: io_uring, which libuv uses from 1.45 on, keeps a worker of its
    own in a process once an epoll_ctl had to wait for a lock."""
    names = []
    for path in glob.glob(f"/proc/{process.pid}/task/*/comm"):
        try:
            with open(path, encoding="utf-8") as comm:
                names.append(comm.read().strip())
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has just ended
    return [name for name in names if not name.startswith("iou-")]


class Usage:
    """What a process has used so far."""

    def __init__(self, process):
        folder = f"/proc/{process.pid}"
        with open(f"{folder}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        self.cpu_ms = 1000 * (int(fields[11]) + int(fields[12])) / TICKS
        self.threads = len(threads_of(process))
        self.resident_kb = int(fields[21]) * PAGE / 1024
        self.files = len(os.listdir(f"{folder}/fd"))


def wait_for_threads(process, most):
    """Those that have opened a connection end."""
    deadline = time.monotonic() + LIMIT
    while len(threads := threads_of(process)) > most:
        if time.monotonic() > deadline:
            raise AssertionError(f"more than {most} threads: {threads}")
        time.sleep(0.01)


def measure(live, dead, files, idle_seconds):
    with ManyHosts(live, dead) as hosts:
        started = time.monotonic()
        with hosts.watch(files) as program:
            opened = wait_for_open(program, hosts, limit=10 * LIMIT)
            open_ms = 1000 * (time.monotonic() - started)
            assert sorted(opened) == sorted(hosts.live)
            after_open = Usage(program.process)
            told_at = time.monotonic()
            heard = deliver_one(program, hosts, "mark", limit=10 * LIMIT)
            event_ms = 1000 * (time.monotonic() - told_at)
            assert sorted(heard) == sorted(hosts.live)
            after_event = Usage(program.process)
            time.sleep(idle_seconds)
            after_idle = Usage(program.process)
            with open(f"/proc/{program.process.pid}/status", encoding="ascii") as status:
                peak_kb = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
            assert program.end(TERMINATE) == 0
        print(f"{live} connections, {dead} dead hosts, at most {files} files")
        print(f"all open after              {open_ms:.0f} ms")
        print(f"CPU until then              {after_open.cpu_ms:.0f} ms, {after_open.cpu_ms / live:.2f} a connection")
        print(f"one event from each after   {event_ms:.0f} ms")
        print(f"CPU of that                 {after_event.cpu_ms - after_open.cpu_ms:.0f} ms")
        print(f"CPU of {idle_seconds} s idle          {after_idle.cpu_ms - after_event.cpu_ms:.0f} ms")
        print(f"resident memory             {after_idle.resident_kb:.0f} KB (peak {peak_kb} KB)")
        print(f"open files                  {after_idle.files}")
        print(f"threads                     {after_idle.threads}")


def main():
    parser = argparse.ArgumentParser(description="Measures virt-uv-events ($VIRT_UV_EVENTS) on many hosts.")
    parser.add_argument("--live", type=int, default=1024)
    parser.add_argument("--dead", type=int, default=0)
    parser.add_argument("--files", type=int, default=4096, help="the hard limit of open files")
    parser.add_argument("--idle", type=int, default=30, help="seconds of idling, whose CPU time is measured")
    chosen = parser.parse_args()
    measure(chosen.live, chosen.dead, chosen.files, chosen.idle)


if __name__ == "__main__":
    main()
