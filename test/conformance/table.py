#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes doc/conformance.md from what the suite shows: for each rule of the contract, what each loop does.
#
#     table.py PROGRAM LOOP... > doc/conformance.md
#     table.py PROGRAM LOOP... --check doc/conformance.md
#
# It runs the scenarios on each loop, and makes no table where one fails.
import re
import sys

from compare import known_differences, traces

RULES = {
    '1': 'Ids are at least 1, watches and timeouts are numbered apart, a stale id reaches nobody',
    '2': '`add` calls nothing back; when it answers -1, `ff` is never called',
    '3': 'One fd may be watched several times',
    '4': 'Event bits are those of poll(2); ERROR and HANGUP come with any mask but 0',
    '5': 'Mask 0 is silent, and does not spin',
    '6': 'Level-triggered',
    '7': 'HANGUP is POLLHUP, not POLLRDHUP',
    '8': 'A pending event is judged by the mask of the moment',
    '9': 'An update with the same mask changes nothing',
    '10': 'An update of an unknown or removed id is ignored',
    '11': 'Remove answers 0, or -1 for what is unknown or removed already',
    '12': 'Self-removal in a callback; `ff` waits for its end',
    '13': 'What another callback has removed does not fire any more',
    '14': 'No function waits for a callback that runs',
    '15': 'What a callback adds fires from the next iteration on',
    '16': '`ff` runs once, last, on the loop\'s thread, on a clean stack, and may call anything',
    '17': '`ff` never runs inside `remove`',
    '18': 'The fd is the caller\'s: to close around the remove, to reuse, with its flags as they were',
    '19': 'A watched fd that was closed does no harm',
    '20': 'Timeouts: negative, 0, positive, INT_MAX',
    '21': 'An update with the same value restarts the countdown',
    '22': '-1 inside one\'s own callback, and 0 from another thread meanwhile',
    '23': '0 wakes a sleeping loop',
    '24': 'A timeout of 0 starves neither fds nor frees',
    'threads': 'All six functions from any thread',
    'registration': 'The registration is for good',
}

INTRODUCTION = '''\
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- Made by test/conformance/table.py; do not edit. -->

# libvirt's contract, shown on {loops}

Each scenario of `test/conformance` drives libvirt's public `virEvent*` functions only and runs on each loop in a process
of its own; then what the loops did is compared. Random programs are run on both and compared too
(`test/conformance/random_programs.py`). A cell has the number of scenarios that show the rule on that loop; a number in brackets is a
known difference, explained below, which its scenario expects.
'''


def rules_of(scenario):
    """The rows that a scenario's name begins with: "row 3: ...", "rows 4, 5: ...", "threads: ..."."""
    head = scenario.split(':')[0]
    return re.findall(r'\d+', head) or [head]


def table(differences, results):
    loops = list(results)
    lines = [INTRODUCTION.format(loops=' and '.join(loops))]
    lines += ['| Row | Rule | ' + ' | '.join(loops) + ' |', '|---|---|' + '---|' * len(loops)]
    numbers = {known['key']: number for number, known in enumerate(differences, 1)}
    for row, rule in RULES.items():
        cells = []
        for loop in loops:
            shown = [line for line in results[loop].values() if row in rules_of(line['scenario'])]
            here = [known for known in differences if known['loop'] == loop and known['row'] == row]
            cells.append(f'{len(shown)}' + ''.join(f' [{numbers[known["key"]]}]' for known in here))
        lines.append(f'| {row} | {rule} | ' + ' | '.join(cells) + ' |')
    lines += ['', '## Known differences', '', '| | Row | Loop | What | Why |', '|---|---|---|---|---|']
    lines += [f'| {numbers[known["key"]]} | {known["row"]} | {known["loop"]} | {known["what"]} | {known["reason"]} |'
              for known in differences if known['loop'] in loops]
    lines += ['', '## Scenarios', '']
    lines += [f'- {name}' for name in sorted(results[loops[0]], key=order)]
    return '\n'.join(lines) + '\n'


def order(scenario):
    place = list(RULES).index(rules_of(scenario)[0])
    return place, scenario


def main():
    arguments = sys.argv[1:]
    file = None
    if '--check' in arguments:
        file = arguments.pop(arguments.index('--check') + 1)
        arguments.remove('--check')
    if len(arguments) < 2:
        sys.exit(f'usage: {sys.argv[0]} PROGRAM LOOP... [--check FILE]')
    program, *loops = arguments
    results = {loop: traces(program, loop) for loop in loops}
    unknown = {rule for name in results[loops[0]] for rule in rules_of(name)} - RULES.keys()
    if unknown:
        sys.exit(f'scenarios name rules that are none: {unknown}')
    made = table(known_differences(program), results)
    if file is None:
        print(made, end='')
    elif open(file).read() != made:
        sys.exit(f'{file} is not what the suite shows: run {sys.argv[0]} {" ".join(arguments)} >{file}')


if __name__ == '__main__':
    main()
