#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fenced blocks of a Markdown page. A block is what a test runs, so its language says what it is:

    sh         commands that a reader types, in the top folder of the repository
    text       what the commands of the block before it print, among other lines, in this order
    console    commands that cannot be run everywhere, as they need another machine, or a service manager
    others     a file; the comment in its first line names it, as `/* program.c */`, `# app/meson.build`; after a `#!`
               line, that in its second

    blocks.py PAGE FILE     prints the block that is named FILE
"""

import pathlib
import re
import sys
from typing import NamedTuple

FENCED = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(?:#!.*\n)?(?:/\*|//|--|#) ([\w./-]+)(?: \*/)?$", re.MULTILINE)


class Block(NamedTuple):
    language: str
    text: str
    line: int  # of the page

    @property
    def name(self):
        """Of the file that it is; None: its first line names none."""
        match = NAME.match(self.text)
        return match and match[1]


def blocks(page):
    text = pathlib.Path(page).read_text(encoding="utf-8")
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in FENCED.finditer(text)]


def named(page, name):
    block, = (block for block in blocks(page) if block.name == name)
    return block.text


if __name__ == "__main__":
    print(named(*sys.argv[1:]), end="")
