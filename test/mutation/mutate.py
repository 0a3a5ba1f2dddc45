#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mutates lib/ line by line, and runs the suites: do the tests notice each change?

    mutate.py                       a sample of mutants, the same each time; more than an hour on two cores
    mutate.py --all                 every mutant
    mutate.py --only polls.cpp      those of some files, or whose line has this text
    mutate.py --list                shows the mutants and runs nothing

mutants.py makes the mutants. Each is built in a copy of the sources under build-check/mutation/, one copy for each
job, and then the test programs of STAGES run, in that order, until one fails: the mutant is killed. A program that
takes several times as long as on the unchanged library hangs: killed as well. What compiles no more is not counted.
The library is one translation unit there, without optimisation: it is compiled in some seconds, whatever was changed.

A mutant that no program notices has survived: it is harmless, or a test is missing. survivors.json has the harmless
ones, each with the reason. The exit status is 1 if more than 5 % of the mutants are survivors that are not in it, or
if an entry is stale: its mutant was killed, or its line is no more.

Each result is a line of build-check/mutation/results.jsonl, written at once; --resume goes on after those.
"""

import argparse
import collections
import dataclasses
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mutants

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / 'build-check' / 'mutation'
SURVIVORS = Path(__file__).with_name('survivors.json')
MUTATED = ('lib/core', 'lib/loop', 'lib/api')
OPTIONS = ['-Dchecks=true', '-Dnode=disabled', '-Dtests=enabled', '-Dtools=disabled', '-Doptimization=0',
           '-Ddebug=false', '-Dwarning_level=0']
ALLOWED_PERCENT = 5
UNKILLED = 'survived'

# Runs random_programs.py without its search for the shortest program.
UNSHRUNK = ('import random_programs as run; run.shrunk = lambda pair, program: program; '
            'run.is_bad_each_time = lambda *_: True; run.main()')


@dataclasses.dataclass(frozen=True)
class Stage:
    """A test program, by the name of Meson's target. `args`: {name} stands for the program of that target."""
    suite: str
    target: str
    args: tuple = ()
    script: tuple = ()  # what runs instead of the program
    stress: str = '0.2'
    words: tuple = ()  # it runs for mutants whose line has one of these only; empty: for all

    def judges(self, mutant):
        return not self.words or any(word in mutant.line for word in self.words)


CATCH = ('--abort',)
# Fast ones first, and those that notice the most. Not here: suites that need a daemon, Node, or an installed library.
STAGES = (
    Stage('cpp', 'cpp-closures-test', CATCH),
    Stage('cpp', 'cpp-adapter-test', CATCH),
    Stage('cpp', 'cpp-event-test', CATCH),
    Stage('fault', 'broken-libuv', CATCH),
    Stage('fault', 'locks', CATCH),
    Stage('cpp', 'cpp-units-test', CATCH),
    Stage('stress', 'stress-reentry', CATCH),
    Stage('stress', 'stress-threads', CATCH),
    Stage('conformance', 'virt-uv-conformance-programs', script=(
        sys.executable, '-c', UNSHRUNK, '{virt-uv-conformance-programs}', 'default', 'virt-uv', '--programs', '300',
        '--seed', '1')),
    Stage('fuzz', 'fuzz-replay', ('{source}/test/fuzz/corpus',)),
    Stage('api', 'api-test', ('~[.]', '~a drain that waits *') + CATCH),  # those two wait for five seconds
    Stage('conformance', 'virt-uv-conformance', ('virt-uv',) + CATCH),
    Stage('unit', 'unit-call-stack', CATCH),
    Stage('unit', 'unit-watch-state', CATCH),
    Stage('unit', 'unit-parts', CATCH),
    Stage('cpp', 'cpp-registration-test', CATCH),
    Stage('fault', 'fault', CATCH),
    Stage('stress', 'stress-life', CATCH),
    Stage('stress', 'stress-wakeups', CATCH),
    Stage('fault', 'bounds', CATCH),
    Stage('api', 'api-test', ('a drain that waits *',) + CATCH),
    Stage('conformance', 'virt-uv-conformance', script=(
        sys.executable, '{source}/test/conformance/compare.py', '{virt-uv-conformance}', 'default', 'virt-uv')),
    Stage('stress', 'stress-million', CATCH, words=('is_full', 'kMaxIndex', 'kIndexBits', 'kChunks', 'used_', 'spent')),
)


# --- Processes ---

class Ended(Exception):
    """The whole run is to end."""


ending = threading.Event()
groups = set()  # of the processes that run
groups_lock = threading.Lock()


def end_group(process):
    """A test may have children of its own, which must not outlive it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    with groups_lock:
        groups.discard(process)


def run(command, cwd, limit, log, env=None):
    """Runs the command in a process group of its own. Its exit status; None: it took longer than `limit` seconds."""
    with open(log, 'ab') as output:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   start_new_session=True)
        with groups_lock:
            groups.add(process)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            end_group(process)
            if ending.is_set():
                raise Ended


def interrupted(*_):
    ending.set()
    for process in list(groups):
        end_group(process)
    raise KeyboardInterrupt


# --- A copy of the tree ---

class Tree:
    def __init__(self, folder, number, stages):
        self.stages = stages
        self.source = folder / str(number)
        self.build = self.source / 'build'
        self.log = folder / f'{number}.log'
        self.files = {}  # a program by the name of its target
        self.seconds = {}  # what each stage takes with the unchanged library

    def prepare(self):
        self.copy()
        if not (self.build / 'build.ninja').exists():
            self.must(['meson', 'setup', str(self.build), str(self.source)] + OPTIONS)
        targets = subprocess.run(['meson', 'introspect', '--targets', str(self.build)], stdout=subprocess.PIPE,
                                 check=True).stdout
        self.files = {target['name']: target['filename'][0] for target in json.loads(targets)}
        self.must(['ninja', '-C', str(self.build), self.relative('virt-uv'), self.relative('cpp-units-module')] +
                  sorted({self.relative(stage.target) for stage in self.stages}))

    def copy(self):
        """Brings the copy in line with the tracked files of the tree; only those that differ are written."""
        listed = subprocess.run(['git', 'ls-files', '-z'], cwd=TOP, stdout=subprocess.PIPE, check=True).stdout
        for name in listed.decode().split('\0'):
            if name and (TOP / name).is_file():
                content = (TOP / name).read_bytes()
                if name == 'lib/meson.build':
                    content = as_one_unit(content)
                self.write(name, content)
                shutil.copymode(TOP / name, self.source / name)

    def write(self, name, content):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)

    def relative(self, target):
        return os.path.relpath(self.files[target], self.build)

    def must(self, command):
        if run(command, self.source, None, self.log) != 0:
            sys.exit(f'{" ".join(command)} failed: see {self.log}')

    def ninja(self, target):
        # What a mutant compiles to is not wanted again.
        env = dict(os.environ, CCACHE_DISABLE='1')
        return run(['ninja', '-C', str(self.build), self.relative(target)], self.source, None, self.log, env) == 0

    def measure(self):
        """Finds out what each stage takes, and that it passes."""
        for stage in self.stages:
            began = time.monotonic()
            if self.run_stage(stage, 600) != 0:
                sys.exit(f'{stage.target} fails on the unchanged library: see {self.log}')
            self.seconds[stage] = time.monotonic() - began
            print(f'unchanged {self.seconds[stage]:6.1f} s  {stage.suite}: {stage.target}', flush=True)

    def command(self, stage):
        names = {'source': self.source, **self.files}
        words = stage.script or (f'{{{stage.target}}}',) + stage.args
        return [word if word == UNSHRUNK else word.format(**names) for word in words]

    def run_stage(self, stage, limit):
        folder = self.build / 'run'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # What is freed is overwritten, as by `meson test`.
        env = dict(os.environ, VIRT_UV_STRESS=stage.stress, MALLOC_PERTURB_='165',
                   PYTHONPATH=str(self.source / 'test' / 'conformance'))
        return run(self.command(stage), folder, limit, self.log, env)

    def limit(self, stage):
        return 10 + 5 * self.seconds[stage]

    def verdict(self, mutant, source, expect_survival):
        """(result, the stage that it comes from)."""
        self.write(mutant.file, mutants.applied(mutant, source).encode())
        with open(self.log, 'a', encoding='utf-8') as log:
            print(f'\n==== {shown(mutant)}', file=log)
        try:
            if not self.ninja('virt-uv'):
                return 'does not compile', ''
            for stage in self.stages:
                if not stage.judges(mutant):
                    continue
                result = self.stage_verdict(stage)
                if result and expect_survival:  # a test that a busy machine has disturbed is no contradiction
                    result = self.stage_verdict(stage)
                if result:
                    return result, f'{stage.suite}: {stage.target}'
            return UNKILLED, ''
        finally:
            self.write(mutant.file, source.encode())

    def stage_verdict(self, stage):
        # Programs of `unit` have the mutated code in them.
        if stage.suite == 'unit' and not self.ninja(stage.target):
            return 'does not compile'
        status = self.run_stage(stage, self.limit(stage))
        if status is None:  # it hangs, or the machine is busy with something else
            status = self.run_stage(stage, 2 * self.limit(stage))
        return {0: '', None: 'timeout'}.get(status, 'killed')


def as_one_unit(meson_build):
    """lib/meson.build, with all of the library in one translation unit."""
    changed = meson_build.replace(b'\n  pic: true,\n',
                                  b"\n  pic: true,\n  override_options: ['unity=on', 'unity_size=1000'],\n", 1)
    if changed == meson_build:
        sys.exit('lib/meson.build has changed: virt_uv_core is to become one translation unit')
    return changed


# --- The run ---

class Results:
    """What is known of each mutant, by its key; a file has it too."""

    def __init__(self, path, resume):
        self.by_key = {}
        self.lock = threading.Lock()
        if resume and path.exists():
            for line in path.read_text().splitlines():
                result = json.loads(line)
                self.by_key[key_of(result)] = result
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, 'a' if resume else 'w', encoding='utf-8')

    def add(self, mutant, result, stage, seconds):
        entry = {**named(mutant), 'result': result, 'stage': stage, 'seconds': round(seconds, 1)}
        with self.lock:
            self.by_key[mutant.key] = entry
            self.file.write(json.dumps(entry) + '\n')
            self.file.flush()
            print(f'{result:9} {entry["seconds"]:6} s  {stage or "-"}  {shown(mutant)}', flush=True)


def named(mutant):
    entry = {'file': mutant.file, 'line': mutant.line, 'becomes': mutant.becomes}
    return {**entry, 'nth': mutant.nth} if mutant.nth else entry


def key_of(entry):
    return (entry['file'], entry['line'], entry['becomes'], entry.get('nth', 0))


def shown(mutant):
    return f'{mutant.file}:{mutant.number + 1}: {mutant.kind}: {mutant.line}  =>  {mutant.becomes}'


def work(tree, waiting, sources, results, explained):
    """One job: takes mutants until none is left."""
    while not ending.is_set():
        try:
            mutant = waiting.get_nowait()
        except queue.Empty:
            return
        began = time.monotonic()
        try:
            verdict = tree.verdict(mutant, sources[mutant.file], mutant.key in explained)
        except Ended:
            return
        results.add(mutant, *verdict, time.monotonic() - began)


def needed(stage, chosen, suites):
    return (not suites or stage.suite in suites) and any(stage.judges(mutant) for mutant in chosen)


def known_seconds(tree, path, resume):
    """What each stage takes; a run that is resumed has written it down."""
    if resume and path.exists():
        known = json.loads(path.read_text())
        if len(known) == len(tree.stages):
            return dict(zip(tree.stages, known))
    tree.measure()
    path.write_text(json.dumps([tree.seconds[stage] for stage in tree.stages]))
    return tree.seconds


def run_all(chosen, sources, results, explained, arguments):
    waiting = queue.Queue()
    for mutant in chosen:
        if mutant.key not in results.by_key:
            waiting.put(mutant)
    if waiting.empty():
        return
    stages = [stage for stage in STAGES if needed(stage, chosen, arguments.suite)]
    trees = [Tree(arguments.folder, number, stages) for number in range(arguments.jobs)]
    for tree in trees:
        tree.prepare()
    seconds = known_seconds(trees[0], arguments.folder / 'unchanged.json', arguments.resume)
    for tree in trees:
        tree.seconds = seconds
    threads = [threading.Thread(target=work, args=(tree, waiting, sources, results, explained)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1)


def stale_entries(explained, sources, results):
    """What survivors.json should not say any more."""
    existing = {mutant.key for mutant in mutants.sample(sources, None)}
    for key in explained:
        if key not in existing:
            yield key, 'its line is no more'
        elif results.get(key, {'result': UNKILLED})['result'] != UNKILLED:
            yield key, f'{results[key]["result"]} by {results[key]["stage"]}'


def report(chosen, sources, results, explained, seconds):
    """Prints the figures. Is all well?"""
    found = [results[mutant.key] for mutant in chosen if mutant.key in results]
    counts = collections.Counter(entry['result'] for entry in found)
    stages = collections.Counter(entry['stage'] for entry in found if entry['result'] in ('killed', 'timeout'))
    survivors = [mutant for mutant in chosen if results.get(mutant.key, {}).get('result') == UNKILLED]
    unexplained = [mutant for mutant in survivors if mutant.key not in explained]
    stale = list(stale_entries(explained, sources, results))
    for mutant in unexplained:
        print(f'not explained: {shown(mutant)}')
    for (file, line, becomes, _), why in stale:
        print(f'stale in survivors.json: {why}: {file}: {line}  =>  {becomes}')
    for stage, count in stages.most_common():
        print(f'killed by {stage}: {count}')
    number = len(found) - counts['does not compile']
    percent = 100 * len(unexplained) / max(1, number)
    print(f'{number} mutants: {counts["killed"]} killed, {counts["timeout"]} timeouts, '
          f'{len(survivors) - len(unexplained)} survivors explained, {len(unexplained)} not explained '
          f'({percent:.1f} %); {counts["does not compile"]} more do not compile; {seconds / 60:.0f} min')
    if len(found) < len(chosen):
        print(f'{len(chosen) - len(found)} mutants have no result')
    return percent <= ALLOWED_PERCENT and not stale and number > 0 and len(found) == len(chosen)


def mutated_sources():
    files = sorted(path for folder in MUTATED for path in (TOP / folder).glob('*.?pp'))
    return {str(path.relative_to(TOP)): path.read_text(encoding='utf-8') for path in files}


def explained_survivors():
    entries = json.loads(SURVIVORS.read_text(encoding='utf-8'))
    for entry in entries:
        if not entry.get('reason'):
            sys.exit(f'{SURVIVORS}: an entry without a reason: {entry}')
    return {key_of(entry) for entry in entries}


def parse_arguments():
    parser = argparse.ArgumentParser(description='Mutates lib/ line by line, and runs the suites on each mutant.')
    parser.add_argument('--number', type=int, default=320, help='how many mutants (%(default)s)')
    parser.add_argument('--all', action='store_true', help='every mutant')
    parser.add_argument('--only', action='append', metavar='TEXT', help='those whose file name or line has this text')
    parser.add_argument('--explained', action='store_true', help='those that survivors.json has')
    parser.add_argument('--suite', action='append', help='run these suites only (a trial: more survive)')
    parser.add_argument('--jobs', type=int, default=2, help='how many at a time (%(default)s)')
    parser.add_argument('--folder', type=lambda text: Path(text).resolve(), default=FOLDER,
                        help='for the copies and the results (%(default)s)')
    parser.add_argument('--resume', action='store_true', help='go on after the results that are there')
    parser.add_argument('--list', action='store_true', help='show the mutants, and run nothing')
    return parser.parse_args()


def choose(arguments, sources, explained):
    chosen = mutants.sample(sources, None if arguments.all or arguments.only or arguments.explained else
                            arguments.number)
    if arguments.only:
        chosen = [mutant for mutant in chosen
                  if any(text in mutant.file or text in mutant.line for text in arguments.only)]
    if arguments.explained:
        chosen = [mutant for mutant in chosen if mutant.key in explained]
    return chosen


def main():
    arguments = parse_arguments()
    sources, explained = mutated_sources(), explained_survivors()
    chosen = choose(arguments, sources, explained)
    if arguments.list:
        print('\n'.join(shown(mutant) for mutant in chosen))
        return
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    results = Results(arguments.folder / 'results.jsonl', arguments.resume)
    began = time.monotonic()
    run_all(chosen, sources, results, explained, arguments)
    if not report(chosen, sources, results.by_key, explained, time.monotonic() - began):
        sys.exit(1)


if __name__ == '__main__':
    main()
