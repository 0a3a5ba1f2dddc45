#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the test cases of one run of `meson test`.

    tools/count-tests.py LIST LOG

LIST is the output of `meson test --list`, LOG is the JSON log of the run. The summary that a test program prints gives
the number of its cases (Catch2, Python's unittest, Node's runner, TAP). A program without a summary is one case. The
verdict of Meson has precedence: a program that Meson calls failed has at least one failure, whatever it printed. A
test that is in LIST and not in LOG is a failure too, and so is a program that ran no case: a test must not be lost
unnoticed.

Prints the last lines of each test that failed, a line for each that was skipped, and `N passed, N failed, N skipped`.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

LAST_LINES = 60
# `project:suite / name`; since Meson 1.11 or so, `suite - project:name`.
LISTED = re.compile(r"\S+ (/|- [^ :]+:)")
GOOD = ("OK", "EXPECTEDFAIL")


class Figures(Counter):
    """passed, failed and skipped; `empty` for a program whose summary says that it ran nothing."""

    def __str__(self):
        return ", ".join(f"{self[key]} {key}" for key in ("passed", "failed", "skipped"))


def catch2(text):
    """`All tests passed (3 assertions in 2 test cases)`, or

    `test cases: 4 | 1 passed | 2 failed | 1 failed as expected`.
    """
    figures = Figures()
    for cases in re.findall(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)", text, re.M):
        figures["passed"] += int(cases)
    for line in re.findall(r"^test cases: .*", text, re.M):
        for number, verdict in re.findall(r"(\d+) (passed|failed as expected|failed|skipped)", line):
            figures["passed" if verdict == "failed as expected" else verdict] += int(number)
    figures["empty"] = len(re.findall(r"^No tests ran", text, re.M))
    return figures


def unittest(text):
    """`Ran 6 tests in 0.1s`, then `OK` or `FAILED`, with the exceptions in parentheses."""
    figures = Figures()
    for ran, details in re.findall(r"^Ran (\d+) tests? in [^\n]*\n+(?:OK|FAILED)\b([^\n]*)", text, re.M):
        exceptions = dict(re.findall(r"(\w[a-z ]*)=(\d+)", details))
        skipped = int(exceptions.get("skipped", 0))
        failed = sum(int(exceptions.get(key, 0)) for key in ("failures", "errors", "unexpected successes"))
        figures += Figures(passed=int(ran) - skipped - failed, failed=failed, skipped=skipped)
        figures["empty"] += int(ran) == 0
    return figures


def node(text):
    """`# pass 3` and similar lines at the end of the output of Node's test runner (on a terminal with another sign)."""
    kinds = {"pass": "passed", "fail": "failed", "cancelled": "failed", "skipped": "skipped", "todo": "skipped"}
    figures = Figures()
    for kind, number in re.findall(r"^(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$", text, re.M):
        figures[kinds[kind]] += int(number)
    figures["empty"] = int(bool(figures) and not any(figures.values()))
    return figures


def tap(text):
    """`1..3`, `ok 1 - name`, `not ok 2`, `ok 3 # SKIP reason`. Lines of subtests are indented, and not counted."""
    plan = re.search(r"^1\.\.(\d+)", text, re.M)
    if not plan:
        return Figures()
    figures = Figures(empty=int(plan[1]) == 0)
    for verdict, rest in re.findall(r"^(ok|not ok)\b(.*)$", text, re.M):
        if re.search(r"# *(skip|todo)", rest, re.I):
            figures["skipped"] += 1
        else:
            figures["passed" if verdict == "ok" else "failed"] += 1
    return figures


def summary(text):
    """The program's own figures. The output of Node's runner is TAP too, so TAP is read only if it is not Node's."""
    return catch2(text) + unittest(text) + (+node(text) or tap(text))


def count(test):
    figures = summary(test.get("stdout", "") + "\n" + test.get("stderr", ""))
    if test["result"] == "SKIP":
        figures["skipped"] = max(1, figures["skipped"])
    elif test["result"] not in GOOD or figures["empty"]:
        figures["failed"] = max(1, figures["failed"])
    elif not figures:
        figures["passed"] = 1
    return figures


def report(test, figures):
    output = (test.get("stdout", "") + test.get("stderr", "")).rstrip("\n")
    if figures["failed"]:
        verdict = "ran no test case" if figures["empty"] else f"{test['result']}, exit status {test['returncode']}"
        print(f"---- {test['name']}: {verdict}; the last lines of its output:")
        print(*output.splitlines()[-LAST_LINES:], sep="\n")
        print("----")
    elif figures["skipped"]:
        print(f"{test['name']}: {figures['skipped']} skipped")


def main(list_file, log_file):
    wanted = Counter(line for line in Path(list_file).read_text().splitlines() if LISTED.match(line))
    log = Path(log_file)
    ran = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    total = Figures()
    for test in ran:
        figures = count(test)
        report(test, figures)
        total += figures
    for name in (wanted - Counter(test["name"] for test in ran)).elements():
        print(f"---- {name}: did not run")
        total["failed"] += 1
    print(total)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: tools/count-tests.py LIST LOG")
    main(*sys.argv[1:])
