#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brings the figures of doc/virt-uv-run.md, and their plot, up to date with a run of virt-uv-bench daemon.

    build-dev/tools/bench/virt-uv-bench daemon --json figures.json
    tools/bench/daemon_page.py figures.json

The table and the line about the machine stand between marker comments and are written again; the page's text is left
alone. Needs gnuplot and python3-libvirt.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from clients import LOOPS, table  # noqa: E402: no __pycache__ in the source tree
from page import DOC, STYLES, TITLES, machine, replace  # noqa: E402
from plot import write_svg  # noqa: E402

SIZE = 700, 420


def headline(report):
    """What the plot shows, in one sentence."""
    clients, loops = list(report["sizes"].items())[-1]
    times = loops["virt-uv"]["calls"] / loops["default"]["calls"]
    return f"{times:.1f} times as many calls a second with {int(clients):,} idle clients"


def plot(report, path):
    tics = ", ".join(f'"{int(size):,}" {size}' for size in report["sizes"])
    script = ["set logscale x", "set xrange [8:4000]", "set yrange [0:]", "set grid", "set key bottom left",
              "set xlabel 'idle clients'", "set ylabel 'calls a second'", f"set title '{headline(report)}'",
              f"set xtics ({tics})"]
    for loop in LOOPS:
        points = "\n".join(f"{size} {loops[loop]['calls']}" for size, loops in report["sizes"].items())
        script.append(f"${loop.replace('-', '_')} << END\n{points}\nEND")
    lines = ", ".join(f"${loop.replace('-', '_')} with linespoints pointtype 7 pointsize 0.4 {STYLES[loop]} "
                      f"title \"{TITLES[loop]}\"" for loop in LOOPS)
    write_svg(path, headline(report), SIZE, "\n".join([*script, f"plot {lines}"]))


def update(report, folder):
    page = folder / "virt-uv-run.md"
    text = page.read_text(encoding="utf-8")
    text = replace(text, "machine", machine(report))
    page.write_text(replace(text, "clients", table(report["sizes"])), encoding="utf-8")
    plot(report, folder / "virt-uv-run.svg")


def main():
    if len(sys.argv) != 2:
        sys.exit("daemon_page.py: say which JSON file of virt-uv-bench daemon to take")
    update(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), DOC)


if __name__ == "__main__":
    main()
