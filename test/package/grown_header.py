#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The header of a release to come: each struct that begins with its size has one member more.

    grown_header.py HEADER     prints it
"""

import pathlib
import re
import sys

STRUCT = re.compile(r"^(typedef struct (\w+) \{\n  size_t size;.*?\n)(\} \2;)$", re.MULTILINE | re.DOTALL)
INITIALIZER = re.compile(r"(\{ sizeof\((\w+)\).*) \}$", re.MULTILINE)


def grown(text):
    text, structs = STRUCT.subn(r"\1  uint64_t later; /* 0: as before */\n\3", text)
    text, initializers = INITIALIZER.subn(r"\1, 0 }", text)
    # Another header than this was written for would leave a struct as it was.
    assert structs == text.count("size_t size;") and initializers == text.count("_INIT \\\n"), (structs, initializers)
    return text


print(grown(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), end="")
