#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brings doc/benchmark.md and its plot up to date with runs of virt-uv-bench.

    build-dev/tools/bench/virt-uv-bench --all --json debian-12.json
    tools/bench/platform.sh debian-13 >debian-13.json
    tools/bench/page.py debian-12.json debian-13.json

All of it shows the first run; the table of the targets has a column for each. The page's tables stand between marker
comments and are written again; its text is left alone.
"""

import json
import re
import sys
import textwrap
from pathlib import Path

sys.dont_write_bytecode = True
from plot import Line, Plot  # noqa: E402: no __pycache__ in the source tree
from report import NO_RESULT, number, platform, ratio  # noqa: E402
from workloads import ALL, DEFAULT, FLOOR, LIMIT, OURS  # noqa: E402

DOC = Path(__file__).resolve().parents[2] / "doc"
LOOPS = (*ALL, FLOOR)
PLOTTED = "wake"
GAP_AT = 1000


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])


def figures(report):
    for measurement in report["measurements"]:
        for figure in measurement["figures"]:
            yield measurement, figure


def verdicts(report):
    """By workload, figure and what is wanted."""
    return {(f"{measurement['workload']}/{measurement['size']}", f"{figure['name']}, {figure['unit']}",
             target["wanted"].replace(">=", "≥").replace("<=", "≤")): target
            for measurement, figure in figures(report) for target in figure["targets"]}


def reached(target):
    if not target:
        return ""
    return ratio(target["reached"], missing=NO_RESULT) + (" **missed**" if target["met"] is False else "")


def targets_table(reports):
    """The targets are the first run's, and so is their order."""
    of_each = [verdicts(report) for report in reports]
    return table(["workload", "figure", "target", *map(platform, reports)],
                 [[*target, *(reached(of_one.get(target)) for of_one in of_each)] for target in of_each[0]])


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


def machine(reports):
    first = reports[0]
    of = first["machine"]
    text = (f"{of['cores']} cores of {of['processor']}, Linux {of['kernel']}; "
            f"{first['runs']} runs of {first['seconds']} s for each loop.")
    return "\n".join([textwrap.fill(text, 118), "", *map(versions, reports)])


def versions(report):
    libvirt = report["machine"]["libvirt"]
    return (f"- {platform(report)}: libvirt {libvirt // 1000000}.{libvirt // 1000 % 1000}.{libvirt % 1000}, "
            f"libuv {report['machine']['libuv']}")


def replace(text, name, content):
    """Between <!-- name --> and <!-- /name -->."""
    pattern = rf"(<!-- {name} -->\n).*?(\n?<!-- /{name} -->)"
    ret, count = re.subn(pattern, lambda found: found[1] + content + "\n" + found[2].lstrip("\n"), text, flags=re.S)
    if count != 1:
        sys.exit(f"the page does not have the markers <!-- {name} --> and <!-- /{name} -->")
    return ret


def points(report, loop):
    """Without the medians that are no result."""
    return tuple((measurement["size"], figure["loops"][loop]["median"]) for measurement, figure in figures(report)
                 if measurement["workload"] == PLOTTED and figure["loops"].get(loop, {}).get("result"))


def share_of_limit(report):
    """Plain libuv's line would lie below ours."""
    limit = dict(points(report, LIMIT))
    shares = [rate / limit[size] for size, rate in points(report, OURS) if size in limit]
    return f"{min(shares):.0%} to {max(shares):.0%} of plain libuv"


def plot(report):
    return Plot(title="Callbacks a second of one busy watch beside idle ones", x_title="idle watches",
                ours=Line(points(report, OURS), "virt-uv", share_of_limit(report)),
                other=Line(points(report, DEFAULT), "libvirt's default loop"),
                gap_at=GAP_AT, gap_unit="idle watches").svg()


def main():
    if len(sys.argv) < 2:
        sys.exit("page.py: say which JSON files of virt-uv-bench to take: tools/bench/page.py figures.json")
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    page = DOC / "benchmark.md"
    text = page.read_text(encoding="utf-8")
    for name, content in (("machine", machine(reports)), ("targets", targets_table(reports)),
                          ("flat", flat_table(reports[0])), ("medians", medians_table(reports[0]))):
        text = replace(text, name, content)
    page.write_text(text, encoding="utf-8")
    (DOC / "benchmark.svg").write_text(plot(reports[0]), encoding="utf-8")


if __name__ == "__main__":
    main()
