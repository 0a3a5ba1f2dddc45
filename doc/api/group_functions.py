#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts each function of a C header into a group of its own, for Doxygen, which makes a manual page for each group.

    group_functions.py HEADER      prints it
"""

import re
import sys

DOCUMENTED = re.compile(r"^/\*\* (@brief (?:(?!\*/).)*\*/\nVIRT_UV_EXPORT [^;(]*?(\w+)\()", re.MULTILINE | re.DOTALL)
groups = []


def grouped(match):
    documented, function = match.groups()
    brief = re.match(r"@brief (.*?)( \*/|\n \*\n)", documented, re.DOTALL)[1]
    title = re.sub(r"\n \* ", " ", brief).rstrip(".").replace("`", "")
    groups.append(f"/** @defgroup {function} {title}\n * `#include <virt-uv/virt-uv.h>` */")
    return f"/** @ingroup {function}\n * {documented}"


with open(sys.argv[1], encoding="utf-8") as header:
    print(DOCUMENTED.sub(grouped, header.read()), *groups, sep="\n")
