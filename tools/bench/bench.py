# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-bench: measures libvirt's event loops beside each other, and beside libuv itself.

The build tree's tools/bench/virt-uv-bench calls main(). What is measured is in workloads.py, how the runs are made in
runner.py, what their values amount to in measurement.py, and how that is shown in report.py.
"""

import argparse
import json
import sys

import report
from runner import Runner
from workloads import WORKLOADS


def parse(argv):
    parser = argparse.ArgumentParser(prog="virt-uv-bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="workload", help="what to measure: a name, or name/N for one size")
    parser.add_argument("--all", action="store_true", help="every workload")
    parser.add_argument("--list", action="store_true", help="show the workloads and end")
    parser.add_argument("--runs", type=int, default=7, help="runs of each loop, of which the median counts (7)")
    parser.add_argument("--seconds", type=float, default=0.15,
                        help="measured time of a run (0.15); workloads with a daemon take longer")
    parser.add_argument("--json", metavar="FILE",
                        help="write the figures to this file too; -: to standard output, instead of the table")
    parser.add_argument("--smoke", action="store_true",
                        help="one short run of each at a small size: does it work? The figures mean nothing")
    return parser.parse_args(argv)


def check(arguments):
    if not 1 <= arguments.runs <= 1000:
        raise ValueError(f"--runs {arguments.runs}: give a number from 1 to 1000")
    if not 0 < arguments.seconds <= 3600:
        raise ValueError(f"--seconds {arguments.seconds:g}: give a time above 0, of an hour at most")


def choice(name):
    """"wake" or "wake/8000": the workload and its chosen sizes."""
    name, slash, size = name.partition("/")
    if name not in WORKLOADS:
        raise ValueError(f"no workload is called '{name}': --list names them")
    workload = WORKLOADS[name]
    if not slash:
        return workload, workload.sizes
    if size not in map(str, workload.sizes):
        raise ValueError(f"'{name}' has no size '{size}': --list shows the sizes")
    return workload, (int(size),)


def choices(arguments):
    names = WORKLOADS if arguments.all else arguments.names
    if not names:
        raise ValueError("name the workloads to run, or say --all; --list shows them")
    return [choice(name) for name in names]


def show_failures(measurement):
    for loop, why in measurement.failures.items():
        print(f"virt-uv-bench: {measurement.workload.name}/{measurement.size} on {loop}: {why}", file=sys.stderr)


def measure(programs, arguments):
    """Prints the table as it grows, unless the JSON has standard output. False when a run failed."""
    check(arguments)
    chosen = choices(arguments)
    show = arguments.json != "-"
    measurements = []
    with report.json_output(arguments.json) as output, \
            Runner(programs, arguments.runs, arguments.seconds, arguments.smoke) as runner:
        for measurement in (runner.measure(workload, size) for workload, sizes in chosen for size in sizes):
            measurements.append(measurement)
            if show:
                print(report.measurement_text(measurement), flush=True)
            else:
                show_failures(measurement)
        if show:
            print(report.targets_text(measurements), end="")
        if output:
            settings = {"runs": arguments.runs, "seconds": arguments.seconds, "smoke": arguments.smoke}
            json.dump(report.document(runner.machine(), settings, measurements), output, indent=2)
            output.write("\n")
    return not any(measurement.failures for measurement in measurements)


def main(programs):
    if sys.argv[1:2] == ["daemon"]:
        import clients  # needs python3-libvirt, which no workload does
        return clients.main(sys.argv[2:], programs.launcher)
    arguments = parse(sys.argv[1:])
    if arguments.list:
        print(report.list_text(), end="")
        return 0
    try:
        return 0 if measure(programs, arguments) else 1
    except (OSError, RuntimeError, ValueError) as error:
        print(f"virt-uv-bench: {error}", file=sys.stderr)
        return 1
