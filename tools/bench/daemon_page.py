#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brings the figures of doc/virt-uv-run.md, and their plot, up to date with a run of virt-uv-bench daemon.

    build-dev/tools/bench/virt-uv-bench daemon --json debian-12.json
    tools/bench/platform.sh debian-sid daemon >debian-sid.json
    tools/bench/daemon_page.py debian-12.json debian-sid.json

The plot is of the first run, and the table has the rows of each. The table and the lines about the machine stand
between marker comments and are written again; the page's text is left alone. Needs python3-libvirt.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from clients import table  # noqa: E402: no __pycache__ in the source tree
from page import DOC, machine, replace  # noqa: E402
from plot import Line, Plot  # noqa: E402


def plot(report):
    default, ours = (Line(tuple((int(size), loops[loop]["calls"]) for size, loops in report["sizes"].items()), label)
                     for loop, label in (("default", "libvirt's default loop"), ("virt-uv", "virt-uv-run")))
    return Plot(title="Calls a second of a libvirtd with idle clients", x_title="idle clients",
                ours=ours, other=default,
                gap_at=max(int(size) for size in report["sizes"]), gap_unit="idle clients").svg()


def update(reports, folder):
    page = folder / "virt-uv-run.md"
    text = page.read_text(encoding="utf-8")
    text = replace(text, "machine", machine(reports))
    page.write_text(replace(text, "clients", table(reports)), encoding="utf-8")
    (folder / "virt-uv-run.svg").write_text(plot(reports[0]), encoding="utf-8")


def main():
    if len(sys.argv) < 2:
        sys.exit("daemon_page.py: say which JSON files of virt-uv-bench daemon to take")
    update([json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:]], DOC)


if __name__ == "__main__":
    main()
