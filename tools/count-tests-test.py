#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/count-tests.py reads the summaries of test programs, and counts tests that fail, skip, or are missing."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COUNT_TESTS = Path(__file__).with_name("count-tests.py")


def entry(stdout="", result="OK", returncode=0, name="virt-uv:unit / one", **more):
    return {"name": name, "stdout": stdout, "result": result, "returncode": returncode, **more}


class CountTests(unittest.TestCase):
    def run_on(self, entries, listed=None):
        """The output for a run whose log has these entries; `listed`: the names that `meson test --list` gave."""
        if listed is None:
            listed = [test["name"] for test in entries]
        with tempfile.TemporaryDirectory() as folder:
            list_file, log = Path(folder, "list"), Path(folder, "log.json")
            list_file.write_text("".join(name + "\n" for name in listed))
            if entries:
                log.write_text("".join(json.dumps(test) + "\n" for test in entries))
            command = [sys.executable, COUNT_TESTS, list_file, log]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
        return run.stdout

    def figures(self, *entries):
        return self.run_on(entries).splitlines()[-1]

    def test_a_program_without_a_summary_is_one_case(self):
        self.assertEqual(self.figures(entry("hello\n")), "1 passed, 0 failed, 0 skipped")

    def test_catch2_all_passed(self):
        self.assertEqual(self.figures(entry("All tests passed (30 assertions in 12 test cases)\n")),
                         "12 passed, 0 failed, 0 skipped")
        self.assertEqual(self.figures(entry("All tests passed (1 assertion in 1 test case)\n")),
                         "1 passed, 0 failed, 0 skipped")

    def test_catch2_with_failures(self):
        text = "test cases: 5 | 2 passed | 1 failed | 2 failed as expected\nassertions: 4 | 1 passed | 1 failed\n"
        self.assertEqual(self.figures(entry(text, "FAIL", 1)), "4 passed, 1 failed, 0 skipped")

    def test_catch2_without_an_assertion(self):
        self.assertEqual(self.figures(entry("test cases: 1 | 1 passed\nassertions: - none -\n")),
                         "1 passed, 0 failed, 0 skipped")

    def test_catch2_3_skips(self):
        self.assertEqual(self.figures(entry("test cases: 3 | 1 passed | 2 skipped\n")), "1 passed, 0 failed, 2 skipped")

    def test_two_programs_in_one_test_add_up(self):
        text = "All tests passed (3 assertions in 2 test cases)\nAll tests passed (5 assertions in 4 test cases)\n"
        self.assertEqual(self.figures(entry(text)), "6 passed, 0 failed, 0 skipped")

    def test_a_program_that_ran_no_case_has_failed(self):
        for text in ("No tests ran\n", "1..0\n", "1..0\n# tests 0\n# pass 0\n# fail 0\n"):
            self.assertEqual(self.figures(entry(text)), "0 passed, 1 failed, 0 skipped", text)
        self.assertEqual(self.figures(entry(stderr="Ran 0 tests in 0.000s\n\nOK\n")), "0 passed, 1 failed, 0 skipped")

    def test_unittest_writes_to_stderr(self):
        self.assertEqual(self.figures(entry(stderr="Ran 7 tests in 0.10s\n\nOK\n")), "7 passed, 0 failed, 0 skipped")

    def test_unittest_with_everything(self):
        text = ("Ran 6 tests in 0.001s\n\n"
                "FAILED (failures=1, errors=1, skipped=1, expected failures=1, unexpected successes=1)\n")
        self.assertEqual(self.figures(entry(text, "FAIL", 1)), "2 passed, 3 failed, 1 skipped")

    def test_node_is_not_counted_a_second_time_as_tap(self):
        text = ("TAP version 13\nok 1 - a\n    ok 1 - sub\n1..1\n"
                "# tests 5\n# pass 3\n# fail 0\n# cancelled 0\n# skipped 1\n# todo 1\n")
        self.assertEqual(self.figures(entry(text)), "3 passed, 0 failed, 2 skipped")

    def test_node_on_a_terminal(self):
        self.assertEqual(self.figures(entry("ℹ tests 2\nℹ pass 2\nℹ fail 0\n")), "2 passed, 0 failed, 0 skipped")

    def test_tap(self):
        text = "TAP version 13\n1..4\nok 1 - a\nnot ok 2 - b\nok 3 # SKIP no tool\nok 4\n"
        self.assertEqual(self.figures(entry(text, "FAIL", 1)), "2 passed, 1 failed, 1 skipped")

    def test_a_crash_after_a_green_summary_is_a_failure(self):
        text = "All tests passed (3 assertions in 2 test cases)\nLeakSanitizer: detected memory leaks\n"
        self.assertEqual(self.figures(entry(text, "FAIL", 1)), "2 passed, 1 failed, 0 skipped")

    def test_failures_are_counted_although_the_program_exits_with_0(self):
        self.assertEqual(self.figures(entry("test cases: 2 | 1 passed | 1 failed\n")), "1 passed, 1 failed, 0 skipped")

    def test_every_bad_verdict_is_a_failure(self):
        for verdict in ("FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"):
            self.assertEqual(self.figures(entry("", verdict, -15)), "0 passed, 1 failed, 0 skipped", verdict)

    def test_an_expected_failure_is_a_pass(self):
        self.assertEqual(self.figures(entry("", "EXPECTEDFAIL", 1)), "1 passed, 0 failed, 0 skipped")

    def test_a_skip_is_a_skip_and_is_named(self):
        lines = self.run_on([entry("no node here\n", "SKIP", 77, "virt-uv:hosts / node")]).splitlines()
        self.assertEqual(lines, ["virt-uv:hosts / node: 1 skipped", "0 passed, 0 failed, 1 skipped"])

    def test_a_listed_test_that_did_not_run_has_failed(self):
        output = self.run_on([entry()], listed=["virt-uv:unit / one", "virt-uv:unit / two"])
        self.assertEqual(output, "---- virt-uv:unit / two: did not run\n1 passed, 1 failed, 0 skipped\n")

    def test_a_listed_test_that_did_not_run_is_a_failure_with_newer_meson_too(self):
        output = self.run_on([entry(name="unit+foreign - virt-uv:one")],
                             listed=["unit+foreign - virt-uv:one", "unit - virt-uv:two"])
        self.assertEqual(output.splitlines()[-1], "1 passed, 1 failed, 0 skipped")

    def test_a_missing_log_is_a_failure_of_every_listed_test(self):
        self.assertEqual(self.run_on([], listed=["a:b / c"]).splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_nothing_listed_and_nothing_run_is_nothing(self):
        self.assertEqual(self.run_on([], listed=["No suitable tests defined."]), "0 passed, 0 failed, 0 skipped\n")

    def test_a_failure_shows_the_last_sixty_lines(self):
        text = "".join(f"line {number}\n" for number in range(100))
        shown = self.run_on([entry(text, "FAIL", 3)]).splitlines()
        self.assertEqual(shown[0], "---- virt-uv:unit / one: FAIL, exit status 3; the last lines of its output:")
        self.assertEqual(shown[1:61], text.splitlines()[40:])

    def test_what_passed_is_not_shown(self):
        self.assertEqual(self.run_on([entry("chatter\n")]), "1 passed, 0 failed, 0 skipped\n")


if __name__ == "__main__":
    unittest.main()
