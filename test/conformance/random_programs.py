#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes random programs (interpreter.hpp has the operations), runs each on two loops, each in a process of its own, and
# compares what they show.
#
#     random_programs.py WORKER REFERENCE LOOP [--programs N] [--seed N]
#     random_programs.py WORKER REFERENCE LOOP --program FILE
#
# Each program has a seed of its own; `--seed N --programs 1` makes that one again. A program that shows a
# difference, or breaks a rule on either loop, is cut down to the shortest that still does, and printed with what each
# loop showed. One that does not show itself again is printed as it was; but where TCP or a terminal takes part, whose
# doings take their time, it is only counted, and its seed printed.
#
# Known differences (known.cpp) that a program could run into are kept out by what is generated: no fd that is
# closed is added, and none stays watched when closed.
import argparse
import random
import subprocess
import sys
import time

KINDS = ['pipe', 'pipe', 'fifo', 'stream', 'stream', 'seqpacket', 'tcp', 'tcp', 'terminal', 'eventfd', 'file', 'null']
CHANNELS = 3
MASKS = [0, 1, 2, 3, 4, 8, 15]
FREQUENCIES = [-1, -1, 0, 0, 1, 2, 3600000, 2147483647]
WATCHES = [f'W{i}' for i in range(6)]
TIMEOUTS = [f'T{i}' for i in range(3)]
CONFIRMATIONS = 3
SHRINKING_SECONDS = 40


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def end(self):
        return f'{self.random.randrange(CHANNELS)}{self.random.choice("aab")}'

    def slot(self):
        return self.random.choice(WATCHES + TIMEOUTS)

    def value(self, slot):
        return self.random.choice(MASKS if slot in WATCHES else FREQUENCIES)

    def open(self, channel=None):
        channel = self.random.randrange(CHANNELS) if channel is None else channel
        return f'open {channel} {self.random.choice(KINDS)}'

    def on_slot(self, operation):
        slot = self.slot()
        return f'{operation} {slot} {self.value(slot)}'

    def plain(self):
        """An operation that may stand anywhere, also in a hook or on another thread."""
        choices = [
            (5, lambda: f'add {self.random.choice(WATCHES)} {self.end()} {self.random.choice(MASKS)}'),
            (2, lambda: f'addt {self.random.choice(TIMEOUTS)} {self.random.choice(FREQUENCIES)}'),
            (7, lambda: self.on_slot('update')),
            (3, lambda: f'remove {self.slot()}'),
            (1, lambda: self.on_slot('stale')),
            (4, lambda: f'write {self.end()}'),
            (3, lambda: f'drain {self.end()}'),
            (1, lambda: f'fill {self.end()}'),
            (1, lambda: f'shutdown {self.end()}'),
            (1, lambda: f'reset {self.end()}'),
            (2, lambda: f'close {self.end()} {self.random.choice(["first", "last"])}'),
            (2, self.open),
        ]
        return self.random.choices([make for _, make in choices], [weight for weight, _ in choices])[0]()

    def anywhere(self):
        remote = 'remote ' if self.random.random() < 0.2 else ''
        return remote + self.plain()

    def hook(self):
        slot = self.slot()
        lines = [self.anywhere() for _ in range(self.random.randint(1, 4))]
        return [f'hook {slot} {line}' for line in lines]

    def program(self):
        lines = [self.open(channel) for channel in range(CHANNELS)]
        for _ in range(self.random.randint(2, 8)):
            lines += [self.anywhere() for _ in range(self.random.randint(1, 6))]
            if self.random.random() < 0.6:
                lines += self.hook()
            lines.append(f'await {self.random.choice(TIMEOUTS)}' if self.random.random() < 0.15 else 'run')
        return lines + ['run']


class Worker:
    """A process that runs programs on one loop."""

    def __init__(self, program, loop):
        self.command = [program, loop]
        self.process = None

    def start(self, program):
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write('\n'.join(program) + '\nend\n')
        self.process.stdin.flush()

    def result(self):
        lines = []
        for line in self.process.stdout:
            if line == 'end\n':
                break
            lines.append(line.rstrip('\n'))
        else:
            lines.append(f'WRONG: the process ended with {self.stop()}')
        if any(line.startswith('WRONG') for line in lines):
            self.stop()  # what is left of this program is not the next one's affair
        return lines

    def stop(self):
        """Its exit status; a worker that is asked to end gives its loop back, and says so if it can't."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.stdin.close()
        process.stdout.read()
        process.stdout.close()
        return process.wait()


class Pair:
    def __init__(self, program, reference, loop):
        self.workers = {reference: Worker(program, reference), loop: Worker(program, loop)}

    def run(self, program):
        """What each loop showed; the loops work at the same time."""
        for worker in self.workers.values():
            worker.start(program)
        return {loop: worker.result() for loop, worker in self.workers.items()}

    def stop(self):
        return {loop: worker.stop() for loop, worker in self.workers.items()}


def is_bad(results):
    first, second = results.values()
    return first != second or any(line.startswith('WRONG') for line in first + second)


def is_bad_each_time(pair, program):
    return all(is_bad(pair.run(program)) for _ in range(CONFIRMATIONS))


def shorter_lines(line):
    """The line without its trimmings."""
    words = line.split()
    if words[0] == 'remote':
        yield ' '.join(words[1:])
    if words[0] == 'hook':
        if words[2] == 'remote':
            yield ' '.join(words[:2] + words[3:])
        yield ' '.join(words[2:])


def shrunk(pair, program):
    """The shortest program found that is still bad: by leaving out ever smaller parts, then by simpler lines."""
    deadline = time.monotonic() + SHRINKING_SECONDS
    size = len(program) // 2
    while size > 0 and time.monotonic() < deadline:
        start = 0
        while start < len(program) and time.monotonic() < deadline:
            shorter = program[:start] + program[start + size:]
            if shorter and is_bad_each_time(pair, shorter):
                program = shorter
            else:
                start += size
        size //= 2
    for place, line in enumerate(program):
        for simpler in shorter_lines(line):
            candidate = program[:place] + [simpler] + program[place + 1:]
            if is_bad_each_time(pair, candidate):
                program = candidate
                break
    return program


def takes_its_time(program):
    return any(line.endswith((' tcp', ' terminal')) for line in program)


def report(program, results):
    print('\n'.join('    ' + line for line in program))
    for loop, lines in results.items():
        print(f'  on {loop}:')
        print('\n'.join('    ' + line for line in lines))


def parse_arguments():
    parser = argparse.ArgumentParser(description='Runs random programs on two loops and compares what they show.')
    parser.add_argument('worker', help='virt-uv-conformance-programs')
    parser.add_argument('reference', help='a loop')
    parser.add_argument('loop', help='another')
    parser.add_argument('--programs', type=int, default=2000, help='how many (%(default)s)')
    parser.add_argument('--seed', type=int, help='of the first program; the next has the next (default: a new one)')
    parser.add_argument('--program', help='a file with a program to run in place of random ones')
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    pair = Pair(arguments.worker, arguments.reference, arguments.loop)
    if arguments.program:
        with open(arguments.program) as file:
            program = [line.strip() for line in file if line.strip()]
        results = pair.run(program)
        report(program, results)
        sys.exit(1 if is_bad(results) else 0)

    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 31)
    print(f'seeds {seed} to {seed + arguments.programs - 1}', flush=True)
    unconfirmed = 0
    for number in range(arguments.programs):
        program = Generator(seed + number).program()
        results = pair.run(program)
        if not is_bad(results):
            continue
        if is_bad_each_time(pair, program):
            print(f'seed {seed + number}, the shortest program that shows it:')
            program = shrunk(pair, program)
            results = pair.run(program)
        elif takes_its_time(program):
            print(f'seed {seed + number}: a difference that did not come again', flush=True)
            unconfirmed += 1
            continue
        else:
            print(f'seed {seed + number}, a program that showed it, but not each time:')
        report(program, results)
        sys.exit(1)
    ends = pair.stop()
    print(f'{arguments.programs} programs, no difference; {unconfirmed} showed one that did not come again')
    if any(ends.values()):
        sys.exit(f'the workers ended with {ends}')


if __name__ == '__main__':
    main()
