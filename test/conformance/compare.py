#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs the scenarios on two loops, each in a process of its own, and compares what each scenario saw.
#
#     compare.py PROGRAM REFERENCE LOOP
#
# A scenario that shows a known difference of one of the two is not compared; it asserts on both what is known of them.
# It is an error for one whose traces differ to show none.
import difflib
import json
import subprocess
import sys
import tempfile


def traces(program, loop):
    """What each scenario saw on the loop: {name: line of JSON}."""
    with tempfile.NamedTemporaryFile(mode='r') as trace:
        run = subprocess.run([program, loop, '--trace', trace.name], stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(f'{run.stdout}\nthe scenarios fail on {loop} already')
        lines = [json.loads(line) for line in trace]
    return {line['scenario']: line for line in lines}


def known_differences(program):
    """The one table of them, as the program has it."""
    return json.loads(subprocess.run([program, '--known'], stdout=subprocess.PIPE, check=True).stdout)


def main():
    if len(sys.argv) != 4:
        sys.exit(f'usage: {sys.argv[0]} PROGRAM REFERENCE LOOP')
    program, reference, loop = sys.argv[1:]
    theirs, ours = traces(program, reference), traces(program, loop)
    if not theirs or theirs.keys() != ours.keys():
        sys.exit(f'{reference} and {loop} have not run the same scenarios')
    compared = differing = 0
    for name in theirs:
        if theirs[name]['differences'] != ours[name]['differences']:
            sys.exit(f'{name}: asks for different differences on {reference} and {loop}')
        if theirs[name]['differences']:
            continue
        compared += 1
        if theirs[name]['trace'] != ours[name]['trace']:
            differing += 1
            print(f'\n{name}')
            print('\n'.join(difflib.unified_diff(theirs[name]['trace'], ours[name]['trace'], reference, loop,
                                                 lineterm='', n=2)))
    print(f'{compared} scenarios compared, {differing} differ; {len(theirs) - compared} show a known difference')
    sys.exit(1 if differing else 0)


if __name__ == '__main__':
    main()
