#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The static probes, as gdb and bpftrace see them in $VIRT_UV_TRACED: doc/probes.md has their names and arguments."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from program import Program, run

TRACED = os.environ["VIRT_UV_TRACED"]
TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = TOP / "doc/examples/probes"


def documented():
    """The names, each with how many arguments it has."""
    page = (TOP / "doc/probes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|([^|]*)\|", page, re.M)
    return {name: len([part for part in re.sub(r"\(.*?\)", "", arguments).split(",") if part.strip()])
            for names, arguments in rows for name in re.findall(r"`([a-z_]+)`", names)}


class Gdb:
    """What gdb prints at each probe while the program runs."""

    def __init__(self):
        commands = ["set pagination off", "start", "info probes stap virt_uv"]
        for name, arguments in documented().items():
            values = "".join(f", $_probe_arg{number}" for number in range(arguments))
            commands += [f"break -probe-stap virt_uv:{name}", "commands", "silent",
                         f'printf "probe {name}{" %ld" * arguments}\\n"{values}', "continue", "end"]
        with tempfile.NamedTemporaryFile("w", suffix=".gdb") as script:
            script.write("\n".join([*commands, "continue", ""]))
            script.flush()
            status, self.lines, said = run("gdb", "-q", "-nx", "-batch", "-x", script.name, TRACED)
        assert status == 0, said

    def found(self):
        """The names of the probes that the library has."""
        return {match[1] for line in self.lines if (match := re.match(r"stap +virt_uv +(\w+) ", line))}

    def passed(self):
        """Each probe in the order in which it was passed, with its arguments."""
        return [(words[1], *map(int, words[2:])) for line in self.lines if (words := line.split())[:1] == ["probe"]]

    def ids(self):
        return map(int, re.search(r"watch (\d+), timeout (\d+), fd (\d+)", "\n".join(self.lines)).groups())


class Probes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gdb = Gdb()

    def test_are_those_that_are_documented(self):
        self.assertEqual(self.gdb.found(), set(documented()))

    def test_are_each_passed(self):
        self.assertEqual({name for name, *_ in self.gdb.passed()}, set(documented()))

    def test_tell_of_a_watch_from_its_add_to_its_free(self):
        watch, _, fd = self.gdb.ids()
        told = [event[:4] for event in self.gdb.passed() if event[0].endswith("_handle")]
        self.assertEqual([event[:2] if event[0] == "free_handle" else event for event in told],
                         [("add_handle", watch, fd, 0), ("update_handle", watch, 1),
                          ("dispatch_handle", watch, fd, 1), ("remove_handle", watch), ("dispatched_handle",),
                          ("free_handle", watch), ("freed_handle",)])

    def test_tell_of_a_timeout_from_its_add_to_its_free(self):
        _, timer, _ = self.gdb.ids()
        own = [event for event in self.gdb.passed() if event[0].endswith("_timeout") and timer in event[1:2]]
        self.assertEqual([event[:2] if event[0] == "dispatch_timeout" else event for event in own],
                         [("add_timeout", timer, -1), ("update_timeout", timer, 0), ("dispatch_timeout", timer),
                          ("remove_timeout", timer), ("free_timeout", timer, 0)])


def refusal():
    """Why this kernel lets nobody trace a program; empty: it does."""
    done = subprocess.run(["bpftrace", "-e", "uprobe:/bin/bash:main { } BEGIN { exit(); }"], capture_output=True,
                          text=True)
    return "" if done.returncode == 0 else done.stderr


REFUSAL = refusal()


@unittest.skipIf(REFUSAL, REFUSAL)
class Scripts(unittest.TestCase):
    def trace(self, script, *arguments, until):
        """What bpftrace prints while the program runs, which lives until bpftrace has printed `until`: it looks up the
        names of functions when it prints them."""
        with Program(TRACED, "wait", stdin=subprocess.PIPE) as program:
            program.expect("ready")
            # Probes are attached in their order.
            text = (SCRIPTS / script).read_text(encoding="utf-8") + 'interval:ms:10 { printf("attached\\n"); }'
            with Program("bpftrace", "-p", program.process.pid, "-e", text, *arguments) as tracer:
                tracer.expect("attached")
                program.process.stdin.write("go\n")
                program.process.stdin.flush()
                tracer.expect(until)
                program.process.stdin.close()
                self.assertEqual(program.end(), 0)
                self.assertEqual(tracer.end(), 0)
                return program.stdout.seen[-1], "\n".join(tracer.stdout.seen)

    def test_slow_callbacks_names_the_one_that_is_slow(self):
        ids, traced = self.trace("slow-callbacks.bt", "20", until=" ms in ")
        timer = re.search(r"timeout (\d+)", ids)[1]
        self.assertRegex(traced, rf"\ntimeout {timer}: \d+ ms in on_timeout\n")
        self.assertNotIn("watch", traced)

    def test_who_wakes_shows_the_call_that_wakes_the_loop(self):
        _, traced = self.trace("who-wakes.bt", until="attached")
        self.assertRegex(traced, r"@iterations: [1-9]")
        self.assertIn("@wakeups[traced, add_handle]: 1", traced)


if __name__ == "__main__":
    unittest.main()
