# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-bench daemon: a libvirtd with many idle clients, on libvirt's default loop and under virt-uv-run.

The idle clients are open sockets that ask for nothing: to the daemon each is a watch. One more client makes calls, one
after the other, and another one is told of the events that come of them. Each run has a daemon of its own, and the two
loops take turns, so that both see the same machine; the median of the runs counts.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import threading
import time

import libvirt

from daemon import Libvirtd
from report import json_output, platform
from runner import machine

SIZES = (10, 1000, 3000)
LOOPS = ("default", "virt-uv")
FIGURES = ("calls", "cpu", "event")  # calls a second, CPU microseconds a call, milliseconds to an event
TICKS = os.sysconf("SC_CLK_TCK")
CONFIGURATION = "max_clients = 10000\nmax_queued_clients = 10000\nkeepalive_interval = -1\n"


class Daemon(Libvirtd):
    def __init__(self, command):
        super().__init__(CONFIGURATION)
        self._command = command

    def command(self):
        return [*self._command, *super().command()]

    def cpu_seconds(self):
        with open(f"/proc/{self._process.pid}/stat", encoding="utf-8") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / TICKS

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self._socket))
        return client


def run_default_loop():
    while True:
        libvirt.virEventRunDefaultImpl()


def start_loop():
    """Of this program: libvirt's default one, as of most clients."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=run_default_loop, daemon=True).start()


def calls(connection, daemon, seconds):
    """Calls a second, and the daemon's CPU time for each in microseconds."""
    count, cpu, began = 0, daemon.cpu_seconds(), time.monotonic()
    while (taken := time.monotonic() - began) < seconds:
        connection.getLibVersion()
        count += 1
    return count / taken, (daemon.cpu_seconds() - cpu) / count * 1e6


def event_latency(connection, watcher, number):
    """Milliseconds from a call that changes a domain to its event in another client; the median."""
    came = threading.Event()
    registered = watcher.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                lambda *_: came.set(), None)
    domain, latencies = connection.lookupByName("test"), []
    for i in range(number):
        came.clear()
        began = time.monotonic()
        (domain.resume if i % 2 else domain.suspend)()
        if not came.wait(10):
            raise RuntimeError("an event did not come")
        latencies.append(time.monotonic() - began)
    watcher.domainEventDeregisterAny(registered)
    return statistics.median(latencies) * 1e3


def one_run(command, size, seconds):
    with Daemon(command) as daemon, contextlib.ExitStack() as idle:
        for _ in range(size):
            idle.enter_context(daemon.connect())
        connection, watcher = libvirt.open(daemon.uri), libvirt.open(daemon.uri)
        calls(connection, daemon, seconds / 10)
        figures = (*calls(connection, daemon, seconds), event_latency(connection, watcher, 100))
        watcher.close()
        connection.close()
        return figures


def measure(launcher, sizes, runs, seconds):
    """{size: {loop: {figure: median}}}"""
    commands = dict(zip(LOOPS, ([], [launcher])))
    start_loop()
    result = {}
    for size in sizes:
        figures = {loop: [] for loop in LOOPS}
        for _ in range(runs):
            for loop, command in commands.items():
                figures[loop].append(one_run(command, size, seconds))
        result[size] = {loop: dict(zip(FIGURES, map(statistics.median, zip(*figures[loop])))) for loop in LOOPS}
    return result


def row(system, size, figures):
    default, ours = (figures[loop] for loop in LOOPS)
    return (f"| {system} | {int(size):,} | {default['calls']:,.0f} | {ours['calls']:,.0f} "
            f"| {ours['calls'] / default['calls']:.2f} | {default['cpu']:,.0f} | {ours['cpu']:,.0f} "
            f"| {default['event']:.2f} | {ours['event']:.2f} |")


def table(documents):
    """In Markdown, with the rows of each system. The sizes may be words, as in JSON."""
    return "\n".join(["| system | idle clients | calls a second | | | CPU a call, µs | | event, ms | |",
                      "|---|---|---|---|---|---|---|---|---|",
                      "| | | default | virt-uv | ratio | default | virt-uv | default | virt-uv |",
                      *(row(platform(document), size, figures) for document in documents
                        for size, figures in document["sizes"].items())])


def libuv_of(launcher):
    version = subprocess.run([launcher, "--version"], check=True, capture_output=True, text=True).stdout
    return re.search(r"libuv ([\d.]+)", version)[1]


def main(argv, launcher):
    parser = argparse.ArgumentParser(prog="virt-uv-bench daemon", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each loop, of which the median counts (5)")
    parser.add_argument("--seconds", type=float, default=2, help="time of the calls of a run (2)")
    parser.add_argument("--json", metavar="FILE",
                        help="write the figures to this file too; '-': only the figures, to standard output")
    parser.add_argument("--smoke", action="store_true", help="one short run at a small size: does it work?")
    arguments = parser.parse_args(argv)
    sizes, runs, seconds = SIZES, arguments.runs, arguments.seconds
    if arguments.smoke:
        sizes, runs, seconds = SIZES[:1], 1, 0.1
    with json_output(arguments.json) as output:
        document = {"machine": machine(libvirt.getVersion(), libuv_of(launcher)), "runs": runs, "seconds": seconds,
                    "sizes": measure(launcher, sizes, runs, seconds)}
        if arguments.json != "-":
            print(table([document]))
        if output:
            json.dump(document, output, indent=2)
            output.write("\n")
    return 0
