# SPDX-License-Identifier: LGPL-2.1-or-later
"""The workload `tool`: the events of N hosts, printed by one `virt-uv-events --json` (the loop "virt-uv"), or by N of
`virsh event --all --loop`, which knows one host ("default": its loop is libvirt's default one).

N of virsh would take more memory than a machine may have, so 50 of them are run at most. Memory is what they have for
themselves, times N / 50, and what they share, once: so N of them are not made to look larger than they are. Both are
from the kernel's smaps_rollup: what a process has to itself is Private, and Pss divides a shared page among those that
map it. CPU time is the kernel's, of all their threads, for each event that a connection had.

A host is a symbolic link to the socket of the private libvirtd, so that each has a URI of its own.
"""

import argparse
import contextlib
import json
import os
import re
import selectors
import struct
import subprocess
import tempfile
import time
from pathlib import Path

MOST_PROCESSES = 50
WARM_UP_ROUNDS = 3
FEWEST_ROUNDS = 3
MARK_SECONDS = 0.5
MARK, EVENT = "metadata-change", "lifecycle"
DEFAULT, OURS = "default", "virt-uv"


class Clients(contextlib.ExitStack):
    """The processes, each of which prints the events of some hosts."""

    def __init__(self, commands):
        """`commands`: of each process, and the URI of its host, or None where each line names it."""
        super().__init__()
        self._selector = self.enter_context(selectors.DefaultSelector())
        self._rest = {}
        self._processes = []
        for command, uri in commands:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self.callback(self._end, process)
            self._processes.append(process)
            self._selector.register(process.stdout, selectors.EVENT_READ, uri)

    @staticmethod
    def _end(process):
        process.kill()
        process.communicate()

    def hosts_with(self, kind, seconds=None):
        """The host of each line about an event of this kind, as it comes. Ends after that time without output."""
        while ready := self._selector.select(seconds):
            for key, _ in ready:
                for line in self._lines(key.fileobj):
                    if kind in line:
                        yield key.data or json.loads(line)["uri"]

    def _lines(self, pipe):
        data = os.read(pipe.fileno(), 1 << 20)
        if not data:
            raise RuntimeError("a program has ended that was to print events")
        *lines, self._rest[pipe] = (self._rest.get(pipe, b"") + data).split(b"\n")
        return [line.decode() for line in lines]

    def cpu_us(self):
        schedstats = (path for process in self._processes
                      for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
        return sum(int(path.read_text(encoding="ascii").split()[0]) for path in schedstats) / 1e3

    def memory_mb(self):
        """What they have for themselves, and what they share."""
        text = "".join(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
                       for process in self._processes)
        private, pss = (sum(map(int, re.findall(rf"^{name}: +(\d+) kB$", text, re.M))) / 1024
                        for name in ("Private_(?:Clean|Dirty)", "Pss"))
        return private, pss - private


class Trigger:
    """The process that changes the domain: see event_rounds.hpp."""

    def __init__(self, pipes):
        self._input, self._output = pipes

    def change(self):
        os.write(self._input, b"!")
        os.read(self._output, struct.calcsize("d"))


def mark(uri):
    """An event of one of the last kinds that virsh registers for."""
    subprocess.run(["virsh", "--quiet", "-c", uri, "metadata", "test", "--uri", "urn:virt-uv-bench", "--key", "mark",
                    "--set", "<mark/>"], check=True, stdout=subprocess.DEVNULL)


def wait_until_registered(clients, uris):
    missing = set(uris)
    while missing:
        mark(uris[0])
        for uri in clients.hosts_with(MARK, MARK_SECONDS):
            missing.discard(uri)
            if not missing:
                break


def one_round(clients, trigger, uris):
    """From a change until each host's event has been printed."""
    missing = set(uris)
    trigger.change()
    for uri in clients.hosts_with(EVENT):
        missing.remove(uri)
        if not missing:
            return


def measure(clients, trigger, uris, size, seconds):
    wait_until_registered(clients, uris)
    for _ in range(WARM_UP_ROUNDS):
        one_round(clients, trigger, uris)
    rounds, cpu, began = 0, clients.cpu_us(), time.monotonic()
    while rounds < FEWEST_ROUNDS or time.monotonic() - began < seconds:
        one_round(clients, trigger, uris)
        rounds += 1
    cpu = clients.cpu_us() - cpu
    private, shared = clients.memory_mb()
    return {"memory": private * size / len(uris) + shared, "cpu-event": cpu / rounds / len(uris)}


def commands(loop, uris, events):
    if loop == OURS:
        return [([events, "--quiet", "--json", *(word for uri in uris for word in ("-c", uri))], None)]
    return [(["virsh", "--quiet", "-c", uri, "event", "--all", "--loop"], uri) for uri in uris]


def hosts(uri, folder, count):
    """As many URIs for the daemon of this one."""
    driver, socket = uri.split("?socket=")
    links = [Path(folder, f"host-{number}") for number in range(count)]
    for link in links:
        link.symlink_to(socket)
    return [f"{driver}?socket={link}" for link in links]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", choices=["tool"])
    parser.add_argument("--loop", choices=[DEFAULT, OURS], required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--trigger-input", type=int, required=True)
    parser.add_argument("--trigger-output", type=int, required=True)
    parser.add_argument("--events", required=True, help="virt-uv-events")
    args = parser.parse_args()
    count = args.size if args.loop == OURS else min(args.size, MOST_PROCESSES)
    with tempfile.TemporaryDirectory() as folder:
        uris = hosts(args.uri, folder, count)
        with Clients(commands(args.loop, uris, args.events)) as clients:
            trigger = Trigger((args.trigger_input, args.trigger_output))
            print(json.dumps(measure(clients, trigger, uris, args.size, args.seconds)))


if __name__ == "__main__":
    main()
