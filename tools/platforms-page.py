#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes doc/platforms.md from what tools/platforms.sh and tools/node-versions.sh found.

    tools/platforms-page.py build-check/platforms/*.tsv > doc/platforms.md

A record is lines of fields between tabs, of which the first says what the line is; tools/platform.sh describes them.
"""

import sys
from pathlib import Path

HEAD = """\
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- Made by tools/platforms-page.py: make it anew, do not edit it. -->
# Platforms

What was tested where. Figures are test cases that passed; failed and skipped ones are named where there are any.

## Debian

`tools/platforms.sh NAME` makes a system with debootstrap, clones the repository's HEAD into it, and runs there what
[`tools/platform.sh`](../tools/platform.sh) lists. Warnings of g++, clang++ and Meson are errors.
"""

NODE = """
## Node

`tools/node-versions.sh`: one binary of the addon, built once, in each Node; the suite `hosts`, with and without
`UV_USE_IO_URING=1`.
"""


class Record:
    def __init__(self, path):
        self.lines = [line.split("\t") for line in Path(path).read_text().splitlines()]

    def of(self, kind):
        return [fields for first, *fields in self.lines if first == kind]

    def one(self, kind):
        return self.of(kind)[0][0]


def figures(passed, failed, skipped):
    rest = [f"{number} {what}" for number, what in ((failed, "failed"), (skipped, "skipped")) if number != "0"]
    return ", ".join([passed, *rest])


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def systems(records):
    """A column for each system, a row for each version and for each suite that one of them ran."""
    versions = [dict(record.of("version")) for record in records]
    suites = [{name: figures(*counts[:3]) for name, *counts in record.of("suite")} for record in records]

    def rows(columns):
        names = dict.fromkeys(name for column in columns for name in column)
        return [[name, *(column.get(name, "") for column in columns)] for name in names]

    yield from table(["", *(record.one("platform") for record in records)],
                     [["commit", *(record.one("commit") for record in records)],
                      ["date", *(record.one("date") for record in records)],
                      *rows(versions), *rows(suites)])


def nodes(record):
    yield NODE
    yield f"Commit {record.one('commit')}, {record.one('date')}.\n"
    found = {}
    for version, libuv, uring, *counts in record.of("node"):
        found.setdefault((version, libuv), {})[uring] = figures(*counts)
    yield from table(["Node", "its libuv", "without io_uring", "with io_uring"],
                     [[version, libuv, of["0"], of["1"]] for (version, libuv), of in found.items()])


def main(paths):
    records = [Record(path) for path in sorted(paths)]
    platforms = [record for record in records if record.of("platform")]
    print(HEAD)
    print(*systems(platforms), sep="\n")
    for record in records:
        if record.of("node"):
            print(*nodes(record), sep="\n")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit("usage: tools/platforms-page.py build-check/platforms/*.tsv > doc/platforms.md")
    main(sys.argv[1:])
