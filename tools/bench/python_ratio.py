#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv in uvloop beside libvirtaio, in asyncio's loop and in uvloop: the same workloads, within Python.

    python_ratio.py LIBRARY        LIBRARY: the libvirt-uv.so.0 that is measured

It prints the table of doc/embedding.md, with the ratio to the better of libvirtaio's two. The three take turns, run by
run; what counts is the median, and a median whose runs lie too far apart is no result (measurement.py). What Python
itself costs in each callback is in all of them.

libvirtaio calls its loop on whichever thread libvirt calls it. uvloop's loop may be called on its own thread only, so
libvirtaio is not measured there where workers make calls: the process aborts before long.
"""

import argparse
import contextlib
import json
import os
import subprocess
from pathlib import Path

from daemon import Libvirtd
from measurement import Measurement
from report import NO_RESULT, number, ratio
from runner import CONFIGURATION
from workloads import OURS, PYTHON, WORKLOADS

ON_UVLOOP = "libvirtaio in uvloop"
OPTIONS = {PYTHON: [], ON_UVLOOP: ["--uvloop"], OURS: ["--virt-uv"]}

HERE = Path(__file__).parent
MEASURED = [("wake", 1, "wakes"), ("wake", 1000, "wakes"), ("active", 1, "callbacks"), ("active", 1000, "callbacks"),
            ("remote", 1, "calls"), ("remote", 1, "cpu"), ("remote", 4, "calls"), ("remote", 4, "cpu")]
LIMIT_SECONDS = 120


def run(loop, workload, size, uri, args):
    command = ["/usr/bin/python3", HERE / "libvirtaio_workloads.py", workload.name, "--size", str(size),
               "--seconds", str(args.seconds * workload.seconds_factor)]
    command += ["--uri", uri] if workload.needs_daemon else []
    command += OPTIONS[loop]
    environment = dict(os.environ, VIRT_UV_LIBRARY=args.library, PYTHONPATH=str(HERE.parent.parent / "lib/python"))
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=LIMIT_SECONDS, env=environment)
    return json.loads(done.stdout)


def measure(name, size, uri, args):
    measurement = Measurement(WORKLOADS[name], size)
    loops = [loop for loop in OPTIONS if loop != ON_UVLOOP or not measurement.workload.needs_daemon]
    for _ in range(args.runs):
        for loop in loops:
            measurement.add(loop, run(loop, measurement.workload, size, uri, args))
    return measurement


def better(measurement, figure):
    """The loop of libvirtaio's with the better result; None: one has been measured and has none."""
    measured = [loop for loop in (PYTHON, ON_UVLOOP) if measurement.series(loop, figure)]
    results = {loop: measurement.result(loop, figure) for loop in measured}
    if None in results.values():
        return None
    return (max if figure.higher_is_better else min)(results, key=results.get)


def row(measurement, figure):
    def median(loop):
        if not measurement.series(loop, figure):
            return "-"
        result = measurement.result(loop, figure)
        return NO_RESULT if result is None else number(result)

    best = better(measurement, figure)
    of_best = measurement.ratio(OURS, best, figure) if best else None
    return " | ".join([f"| `{measurement.workload.name}`, N = {measurement.size}", f"{figure.name}, {figure.unit}",
                       *map(median, OPTIONS), f"{ratio(of_best)} |"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    print("| workload | figure | libvirtaio | the same in uvloop | virt-uv | ratio |\n|---|---|---|---|---|---|")
    measured = {}
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Libvirtd(CONFIGURATION))
        for name, size, figure_name in MEASURED:
            if (name, size) not in measured:
                measured[name, size] = measure(name, size, daemon.uri, args)
            figure = next(each for each in WORKLOADS[name].figures if each.name == figure_name)
            print(row(measured[name, size], figure), flush=True)


if __name__ == "__main__":
    main()
