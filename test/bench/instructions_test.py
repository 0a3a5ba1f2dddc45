#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library needs no more instructions than were recorded: a guard of its speed that no busy machine disturbs.

callgrind counts what is executed in libvirt-uv.so itself, in a run of a workload and in a longer one; the difference,
by the number of iterations, is free of what a program does once. The compiler decides that number, so each has figures
of its own in instructions.json, and meson.build runs this where there are some.

    instructions_test.py PROGRAM KEY             fails where a figure is 2% off, below it as well
    instructions_test.py PROGRAM KEY --record    writes the figures down: the commit that does so says why
"""

import json
import pathlib
import subprocess
import sys
import tempfile

RECORD = pathlib.Path(__file__).with_name("instructions.json")
OBJECT = "/libvirt-uv.so"
TOLERANCE = 0.02
# What is counted, the workload with its size, and how many of these it does in an iteration.
COUNTED = {
    "a wake": ("wake", 1, 1),
    "a dispatch": ("active", 100, 100),
    "an update": ("timers", 1000, 100),
    "an add and a remove": ("churn", 100, 100),
    "a life": ("life", 100, 100),
}
ITERATIONS = 500


def instructions_in_library(profile):
    """The own cost of all its functions. The line after `calls=` is what a call cost elsewhere."""
    total, is_ours, is_call = 0, False, False
    for line in profile.splitlines():
        if line.startswith("ob="):
            is_ours = OBJECT in line
        elif line.startswith("calls="):
            is_call = True
        elif line[:1].isdigit() or line[:1] in "+-*":
            if is_ours and not is_call:
                total += sum(map(int, line.split()[1:]))  # a cost of 0 is left out
            is_call = False
    return total


def run(program, workload, size, iterations):
    with tempfile.NamedTemporaryFile() as output:
        subprocess.run(["valgrind", "--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no",
                        f"--callgrind-out-file={output.name}", program, workload, "--loop", "virt-uv",
                        "--size", str(size), "--iterations", str(iterations)],
                       check=True, stdout=subprocess.DEVNULL)
        return instructions_in_library(pathlib.Path(output.name).read_text(encoding="utf-8"))


def count(program, workload, size, in_iteration):
    few, many = (run(program, workload, size, times * ITERATIONS) for times in (1, 2))
    return round((many - few) / (ITERATIONS * in_iteration), 1)


def main(program, key, *options):
    figures = {name: count(program, *what) for name, what in COUNTED.items()}
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    if options == ("--record",):
        recorded[key] = figures
        RECORD.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    wrong = 0
    for name, figure in figures.items():
        expected = recorded[key][name]
        is_right = abs(figure - expected) <= TOLERANCE * expected
        print(f"{'ok' if is_right else 'not ok'} {key}: {name} takes {figure} instructions, {expected} are recorded")
        wrong += not is_right
    if wrong:
        print(f"If that is meant, `{sys.argv[0]} {program} '{key}' --record`, and say why in the commit.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
