#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks which way the includes of lib/ point.

    tools/include-graph.py LIB

Each folder of LIB is a layer, and includes only itself and what MAY_INCLUDE says: api -> loop -> core, with no way
back. What is built over the public header (watch, and node on it) includes no layer. Files include each other in no
cycle; a header and the source file of the same name are one node. `core` knows neither libuv nor epoll: it includes no
header of theirs, and its code has no identifier of theirs.

Prints a line `file:line: what is wrong` for each fault, and fails if there was one.
"""

import graphlib
import re
import sys
from pathlib import Path

MAY_INCLUDE = {"api": {"loop", "core"}, "loop": {"core"}, "core": set(), "node": {"watch"}, "watch": set()}
EXTENSIONS = {".c", ".cpp", ".h", ".hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
ANY_INCLUDE = re.compile(r"^\s*#\s*include\b")
FOREIGN_HEADER = re.compile(r"^(uv\.h|uv/.*|sys/epoll\.h)$")
# `virt_uv_attach` is a word of its own, as \b does not stand before its `uv_`.
FOREIGN_IDENTIFIER = re.compile(r"\b(?:uv_\w+|UV_\w+|epoll\w*|EPOLL\w*)")
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def without_comments_and_strings(text):
    """The same lines, with nothing in them except code."""
    return COMMENT_OR_STRING.sub(lambda match: " " + "\n" * match[0].count("\n"), text)


class Tree:
    def __init__(self, lib):
        self.lib = lib
        self.files = {path.resolve(): path for path in sorted(lib.rglob("*")) if path.suffix in EXTENSIONS}
        self.faults = []

    def fault(self, path, line, what):
        self.faults.append(f"{path}:{line}: {what}")

    def layer(self, path):
        """The folder of LIB that `path` lies in, or None for a file directly in LIB."""
        parts = path.relative_to(self.lib).parts
        return parts[0] if len(parts) > 1 else None

    def node(self, path):
        return str(path.relative_to(self.lib).with_suffix(""))

    def included(self, path, quote, name):
        """The file of LIB that this `#include` in `path` means, or None for a file that is not LIB's."""
        for folder in (path.parent, self.lib) if quote == '"' else (self.lib,):
            if found := self.files.get((folder / name).resolve()):
                return found
        return None

    def check(self):
        edges = {}
        for path in self.files.values():
            layer = self.layer(path)
            if layer not in MAY_INCLUDE:
                self.fault(path, 1, f"lies in no layer: the folders are {', '.join(MAY_INCLUDE)}")
            text = path.read_text()
            for line, source in enumerate(text.splitlines(), 1):
                if include := INCLUDE.match(source):
                    self.check_include(edges, path, line, *include.groups())
            if layer == "core":
                self.check_identifiers(path, text)
        self.check_cycles(edges)

    def check_include(self, edges, path, line, quote, name):
        layer = self.layer(path)
        if layer == "core" and FOREIGN_HEADER.match(name):
            self.fault(path, line, f"core includes {name}, and shall know neither libuv nor epoll")
        target = self.included(path, quote, name)
        if target is None:
            return
        to = self.layer(target)
        if layer in MAY_INCLUDE and to != layer and to not in MAY_INCLUDE[layer]:
            self.fault(path, line, f"{layer} includes {name}, which is {to or 'no layer'}'s")
        if self.node(path) != self.node(target):
            edges.setdefault(self.node(path), {}).setdefault(self.node(target), (path, line))

    def check_identifiers(self, path, text):
        for line, code in enumerate(without_comments_and_strings(text).splitlines(), 1):
            if ANY_INCLUDE.match(code):
                continue
            for identifier in FOREIGN_IDENTIFIER.findall(code):
                self.fault(path, line, f"core mentions {identifier}, and shall know neither libuv nor epoll")

    def check_cycles(self, edges):
        """Names a cycle, takes it apart where it closes, and looks for the next."""
        while True:
            try:
                graphlib.TopologicalSorter({node: list(targets) for node, targets in edges.items()}).prepare()
                return
            except graphlib.CycleError as error:
                cycle = error.args[1][::-1]  # graphlib names what is included first
            steps = list(zip(cycle, cycle[1:]))
            path, line = edges[steps[-1][0]].pop(steps[-1][1])
            self.fault(path, line, "this include closes a cycle: " + " -> ".join(cycle))


def main(lib):
    tree = Tree(lib)
    tree.check()
    print(*tree.faults, sep="\n", end="\n" if tree.faults else "")
    if not tree.files:
        sys.exit(f"tools/include-graph.py: {lib} has no source file")
    sys.exit(bool(tree.faults))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tools/include-graph.py LIB")
    main(Path(sys.argv[1]))
