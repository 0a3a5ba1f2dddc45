#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brings doc/benchmark.md and its plot up to date with a run of virt-uv-bench.

    build-dev/tools/bench/virt-uv-bench --all --json figures.json
    tools/bench/page.py figures.json

The page's tables stand between marker comments and are written again; its text is left alone. Needs gnuplot.
"""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

sys.dont_write_bytecode = True
from report import NO_RESULT, number, ratio  # noqa: E402: no __pycache__ in the source tree
from workloads import ALL as LOOPS  # noqa: E402

DOC = Path(__file__).resolve().parents[2] / "doc"
TITLES = {
    "default": "libvirt's default loop",
    "glib": "libvirt-glib",
    "libvirtaio": "Python's libvirtaio",
    "virt-uv": "virt-uv",
    "uv": "plain libuv (the limit)",
}
STYLES = {
    "default": "linecolor rgb '#c02020'",
    "glib": "linecolor rgb '#e08000'",
    "libvirtaio": "linecolor rgb '#3070c0'",
    "virt-uv": "linecolor rgb '#008040' linewidth 3",
    "uv": "linecolor rgb '#000000' dashtype 2",
}
PLOTTED = {"wake": "one busy fd among N idle: wakes/s", "active": "N busy fds: callbacks/s"}


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])


def figures(report):
    for measurement in report["measurements"]:
        for figure in measurement["figures"]:
            yield measurement, figure


def targets_table(report):
    rows = []
    for measurement, figure in figures(report):
        for target in figure["targets"]:
            rows.append([f"{measurement['workload']}/{measurement['size']}", f"{figure['name']}, {figure['unit']}",
                         target["wanted"].replace(">=", "≥").replace("<=", "≤"),
                         ratio(target["reached"], missing=NO_RESULT),
                         {True: "met", False: "**missed**", None: ""}[target["met"]]])
    return table(["workload", "figure", "target", "reached", ""], rows)


def median(loop):
    return f"{number(loop['median'])} ±{loop['spread']:.0%}" if loop["result"] else NO_RESULT


def medians_table(report):
    rows = []
    for measurement, figure in figures(report):
        loops = figure["loops"]
        cells = [median(loops[loop]) if loop in loops else "" for loop in LOOPS]
        ours = loops["virt-uv"]
        rows.append([f"{measurement['workload']}/{measurement['size']}", f"{figure['name']}, {figure['unit']}", *cells,
                     ratio(ours["to_default"], missing=""), ratio(ours["to_uv"], missing="")])
    return table(["workload", "figure", *LOOPS, "to default", "to uv"], rows)


def flat_table(report):
    """Ours, and the limit, as a share of what they are at the smallest size."""
    rows = []
    smallest = {}
    for measurement, figure in figures(report):
        if measurement["workload"] not in ("wake", "wake-timers", "ids"):
            continue
        cells = []
        for loop in ("virt-uv", "uv"):
            of_loop = figure["loops"].get(loop)
            if not of_loop or not of_loop["result"]:
                cells += [NO_RESULT if of_loop else "", ""]
                continue
            rate = of_loop["median"]
            least = smallest.setdefault((measurement["workload"], loop), rate)
            cells += [number(rate), f"{rate / least:.2f}"]
        rows.append([measurement["workload"], str(measurement["size"]), *cells])
    return table(["workload", "N", "virt-uv, 1/s", "to the smallest N", "uv, 1/s", "to the smallest N"], rows)


def machine(report):
    of = report["machine"]
    libvirt = of["libvirt"]
    text = (f"{of['cores']} cores of {of['processor']}, Linux {of['kernel']}, "
            f"libvirt {libvirt // 1000000}.{libvirt // 1000 % 1000}.{libvirt % 1000}, libuv {of['libuv']}; "
            f"{report['runs']} runs of {report['seconds']} s for each loop.")
    return textwrap.fill(text, 118)


def replace(text, name, content):
    """Between <!-- name --> and <!-- /name -->."""
    pattern = rf"(<!-- {name} -->\n).*?(\n?<!-- /{name} -->)"
    ret, count = re.subn(pattern, lambda found: found[1] + content + "\n" + found[2].lstrip("\n"), text, flags=re.S)
    if count != 1:
        sys.exit(f"the page does not have the markers <!-- {name} --> and <!-- /{name} -->")
    return ret


def points(report, workload, loop):
    for measurement, figure in figures(report):
        if measurement["workload"] == workload and figure["loops"].get(loop, {}).get("result"):
            yield measurement["size"], figure["loops"][loop]["median"]


def plot(report):
    script = ["set terminal svg size 1000,480 background '#ffffff' font 'sans,13'",
              f"set output '{DOC / 'benchmark.svg'}'",
              "set logscale xy", "set grid", "set xlabel 'watches'", "set xrange [0.8:10000]",
              "set format y '10^{%L}'", "set key bottom left", "set multiplot layout 1,2"]
    for workload, title in PLOTTED.items():
        for loop in LOOPS:
            data = "\n".join(f"{size} {value}" for size, value in points(report, workload, loop))
            script.append(f"${loop.replace('-', '_')} << END\n{data}\nEND")
        lines = ", ".join(f"${loop.replace('-', '_')} with linespoints {STYLES[loop]} title \"{TITLES[loop]}\""
                          for loop in LOOPS)
        script += [f"set title '{title}'", f"plot {lines}"]
    subprocess.run(["gnuplot"], input="\n".join(script) + "\nunset multiplot\n", text=True, check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit("page.py: say which JSON file of virt-uv-bench to take: tools/bench/page.py figures.json")
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    page = DOC / "benchmark.md"
    text = page.read_text(encoding="utf-8")
    for name, content in (("machine", machine(report)), ("targets", targets_table(report)),
                          ("flat", flat_table(report)), ("medians", medians_table(report))):
        text = replace(text, name, content)
    page.write_text(text, encoding="utf-8")
    plot(report)


if __name__ == "__main__":
    main()
