#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion of virt-uv-events' command line in a real bash."""

import os
import re
import subprocess
import tempfile
import unittest

from program import LIMIT, run_events

PROGRAM = os.environ["VIRT_UV_EVENTS"]
ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }  # works in a completion only
_virt_uv_events "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, cwd=None):
    """What bash offers for the last of these words."""
    result = subprocess.run(["bash", "-c", ASK, "bash", os.environ["VIRT_UV_COMPLETION"], PROGRAM, *words],
                            capture_output=True, text=True, timeout=LIMIT, check=True, cwd=cwd)
    assert result.stderr == "", result.stderr
    return sorted(filter(None, result.stdout.split("\n")))


class Completion(unittest.TestCase):
    def test_offers_each_option_that_help_has(self):
        _, lines, _ = run_events("--help")
        long_ones = sorted(set(re.findall(r"^ +(?:-\w,)?(--[\w-]+)", "\n".join(lines), re.M)))
        self.assertGreater(len(long_ones), 15)
        self.assertEqual(complete("--"), long_ones)
        self.assertIn("-c", complete("-"))
        self.assertEqual(complete("--js"), ["--json"])

    def test_offers_the_events_after_each_comma_too(self):
        _, kinds, _ = run_events("--list")
        self.assertEqual(complete("-e", ""), sorted(kinds))
        self.assertEqual(complete("--event", "rebo"), ["reboot"])
        self.assertEqual(complete("-e", "lifecycle,rebo"), ["lifecycle,reboot"])

    def test_offers_files_for_exec_and_nothing_for_a_number_or_a_url(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("hook one", "hook-two"):
                open(os.path.join(folder, name), "w", encoding="utf-8").close()
            self.assertEqual(complete("--exec", "hook", cwd=folder), ["hook one", "hook-two"])
            for option in ("--count", "--to", "-c"):
                self.assertEqual(complete(option, "", cwd=folder), [])


if __name__ == "__main__":
    unittest.main()
