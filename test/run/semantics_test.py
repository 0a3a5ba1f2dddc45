#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program sees of libvirt's default event loop is the same under virt-uv-run: each case of default_loop.cpp is
run by itself too, and prints the same.

Environment: VIRT_UV_RUN_PROGRAM, VIRT_UV_DEFAULT_LOOP."""

import os
import signal
import subprocess
import unittest

from program import run

RUN = os.environ["VIRT_UV_RUN_PROGRAM"]
PROGRAM = os.environ["VIRT_UV_DEFAULT_LOOP"]
REPLACED = "virt-uv-run: default-loop["


def by_itself(case):
    status, said, _ = run(PROGRAM, case)
    return status, said


def replaced(case):
    """What it prints, and whether its loop was ours."""
    status, said, errors = run(RUN, "--stats", PROGRAM, case)
    return (status, said), [line for line in errors if REPLACED in line and ": iterations " in line]


class Same(unittest.TestCase):
    def check(self, case):
        theirs = by_itself(case)
        ours, lines = replaced(case)
        self.assertEqual(theirs[0], 0)
        self.assertTrue(theirs[1])
        self.assertEqual(ours, theirs)
        return lines


def add(case):
    def test(self):
        self.assertTrue(self.check(case), "the loop was not replaced")
    setattr(Same, "test_" + case, test)


for name in ("an_iteration_waits_for_a_timeout", "a_watch_that_is_ready_is_called", "a_signal_ends_the_iteration",
             "an_error_of_before_is_gone", "registered_on_one_thread_and_run_on_another",
             "threads_run_it_one_at_a_time", "run_before_it_is_registered", "registered_twice",
             "a_fork_after_registering", "sources_of_glib_go_on", "a_glib_main_loop_runs_it", "run_within_a_callback"):
    add(name)


class Different(unittest.TestCase):
    maxDiff = None

    def test_an_implementation_of_the_program_is_left_alone(self):
        theirs = by_itself("an_implementation_of_its_own")
        self.assertEqual(theirs, (0, ["result 0", "arrived: 1"]))
        ours, lines = replaced("an_implementation_of_its_own")
        self.assertEqual(ours, theirs)
        self.assertEqual(lines, [])

    def test_an_iteration_without_fds_fails_with_libvirts_error_and_the_next_works(self):
        ours, _ = replaced("no_fds_are_left")
        self.assertEqual(ours, (0, [
            "result -1, virt-uv-run: the event loop cannot be run: too many open files", "timeout", "result 0"]))

    def test_a_child_forked_after_the_loop_was_run_is_told_so_and_the_parent_goes_on(self):
        ours, _ = replaced("a_fork_after_running")
        self.assertEqual(ours, (0, [
            "timeout", "result -1, virt-uv-run: the event loop cannot be run: operation not permitted "
            "in a process that was forked after it had been run", "timeout", "parent: result 0"]))


class Stats(unittest.TestCase):
    def test_the_line_counts_what_the_program_did(self):
        _, lines = replaced("a_watch_that_is_ready_is_called")
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], r"\]: iterations [1-9]\d*, wake-ups \d+, dispatches 1, slowest callback \d+\.\d{3} "
                                   r"ms, watches 0 \(at most 1\), timeouts 0 \(at most \d\)$")

    def test_sigusr2_has_a_line_printed_where_the_program_leaves_it_free(self):
        status, said, errors = run(RUN, "--stats", PROGRAM, "raises_sigusr2")
        self.assertEqual((status, said), (0, ["ended"]))
        self.assertEqual(len([line for line in errors if ": iterations " in line]), 2)

    def test_without_stats_sigusr2_is_the_systems(self):
        self.assertEqual(run(RUN, PROGRAM, "raises_sigusr2")[0], -signal.SIGUSR2)

    def test_a_handler_of_the_program_stays(self):
        status, said, errors = run(RUN, "--stats", PROGRAM, "handles_sigusr2")
        self.assertEqual((status, said), (0, ["its own handler", "ended"]))
        self.assertEqual(len([line for line in errors if ": iterations " in line]), 1)

    def test_a_program_without_the_loop_is_told_of(self):
        process = subprocess.run([RUN, "--stats", "true"], stderr=subprocess.PIPE, text=True, check=True)
        self.assertRegex(process.stderr, r"^virt-uv-run: true\[\d+\]: libvirt's default event loop was not run\n$")


if __name__ == "__main__":
    unittest.main()
