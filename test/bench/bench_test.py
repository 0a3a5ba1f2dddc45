#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-bench is right: every workload does its work on every loop, and the table is what the runs gave.

No time is asserted. VIRT_UV_BENCH names the program, PYTHONPATH has the folder of its Python modules.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import page
import report
from measurement import LARGEST_SPREAD, Measurement
from workloads import WORKLOADS

PROGRAM = os.environ["VIRT_UV_BENCH"]
LIMIT_SECONDS = 240
NEEDS_LIBVIRTD = {"remote", "connect", "latency", "crowd", "fleet", "quiet", "tool"}
# A process's resident memory need not grow by the few watches of a smoke run: malloc has the pages already, or gets
# them by the 2 MiB.
MAY_BE_ZERO = {"wake-ups", "resident"}


def bench(*args, **kwargs):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=LIMIT_SECONDS, **kwargs)


def figures_of(*args):
    """By (workload, size, figure): what the JSON says of it."""
    run = bench("--json", "-", *args)
    if run.returncode != 0:
        raise AssertionError(f"virt-uv-bench {args} failed:\n{run.stderr}")
    return {(each["workload"], each["size"], figure["name"]): figure
            for each in json.loads(run.stdout)["measurements"] for figure in each["figures"]}


def listed():
    """Of each workload that --list names: its sizes and its loops."""
    lines = re.findall(r"^(\S+) .* \(N: ([\d, ]+); ([a-z, -]+)\)$", bench("--list").stdout, re.M)
    return {name: ([int(size) for size in sizes.split(", ")], loops.split(", ")) for name, sizes, loops in lines}


class Smoke:
    def check(self, names):
        self.assertTrue(names)
        workloads = listed()
        figures = figures_of("--smoke", *names)
        for name in names:
            sizes, loops = workloads[name]
            for size in sizes:
                of_size = {key: figure for key, figure in figures.items() if key[:2] == (name, size)}
                self.assertTrue(of_size, f"{name}/{size} has no figures")
                for key, figure in of_size.items():
                    self.assertEqual(list(figure["loops"]), loops, key)
                    for loop, of_loop in figure["loops"].items():
                        if key[2] not in MAY_BE_ZERO:
                            self.assertGreater(of_loop["median"], 0, (key, loop))


class WithoutLibvirtd(Smoke, unittest.TestCase):
    def test_every_workload_yields_its_figures_on_every_loop(self):
        self.check(sorted(set(listed()) - NEEDS_LIBVIRTD))

    def test_the_figures_are_those_of_the_runs(self):
        figure = figures_of("--runs", "3", "--seconds", "0.02", "idle/100")["idle", 100, "callbacks"]
        loops = figure["loops"]
        for of_loop in loops.values():
            runs = of_loop["runs"]
            self.assertEqual(len(runs), 3)
            self.assertAlmostEqual(of_loop["median"], statistics.median(runs))
            self.assertAlmostEqual(of_loop["spread"], (max(runs) - min(runs)) / 2 / statistics.median(runs))
            for key, other in (("to_default", loops["default"]), ("to_uv", loops["uv"])):
                if of_loop["result"] and other["result"]:
                    self.assertAlmostEqual(of_loop[key], of_loop["median"] / other["median"])
                else:
                    self.assertIsNone(of_loop[key])
        self.assertEqual([target["wanted"] for target in figure["targets"]], [">= 8 of default", ">= 0.9 of uv"])
        for target, reached, least in zip(figure["targets"], ("to_default", "to_uv"), (8, 0.9)):
            self.assertEqual(target["reached"], loops["virt-uv"][reached])
            self.assertEqual(target["met"], None if target["reached"] is None else target["reached"] >= least)

    def test_the_table_goes_with_a_json_file(self):
        path = "bench_test.json"
        run = bench("--smoke", "--json", path, "idle/1")
        self.addCleanup(os.unlink, path)
        self.assertRegex(run.stdout, r"(?m)^  virt-uv +[\d,]+ 1/s ")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["measurements"][0]["workload"], "idle")

    def test_a_run_that_fails_is_named_and_fails_the_program(self):
        def few_files():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

        run = bench("--smoke", "active/100", "active/1", preexec_fn=few_files)
        self.assertEqual(run.returncode, 1)
        for loop in listed()["active"][1]:
            self.assertRegex(run.stdout, rf"(?m)^  {loop}: NOT MEASURED: ")
        self.assertIn("active/1:", run.stdout)

    def test_bad_input_gets_one_line_that_says_what_to_do(self):
        for args, said in ((["nonsense"], "no workload is called 'nonsense': --list names them"),
                           (["wake/7"], "'wake' has no size '7': --list shows the sizes"),
                           ([], "name the workloads to run, or say --all; --list shows them"),
                           (["--runs", "0", "idle"], "--runs 0: give a number from 1 to 1000"),
                           (["--seconds", "nan", "idle"], "--seconds nan: give a time above 0, of an hour at most"),
                           (["--json", "/nowhere/f.json", "--smoke", "idle/1"],
                            "[Errno 2] No such file or directory: '/nowhere/f.json'")):
            run = bench(*args)
            self.assertEqual((run.returncode, run.stdout), (1, ""))
            self.assertEqual(run.stderr, f"virt-uv-bench: {said}\n")


def measured(name, size, **runs):
    """Of the workload's first figure: each loop's runs."""
    ret = Measurement(WORKLOADS[name], size)
    for loop, values in runs.items():
        for value in values:
            ret.add(loop.replace("_", "-"), {ret.workload.figures[0].name: value})
    return ret


class Statistics(unittest.TestCase):
    """On values that are made up: what runs of this machine would give cannot be chosen."""

    def measured(self, **runs):
        """Of idle/1, whose targets are 1.5 of the default loop's callbacks and 0.9 of libuv's."""
        return measured("idle", 1, **runs)

    def figure(self, measurement):
        return report.document({}, {}, [measurement])["measurements"][0]["figures"][0]

    def test_a_spread_above_the_limit_is_no_result_nor_what_is_computed_from_it(self):
        close, apart = (9, 10, 15), (9, 10, 15.1)
        self.assertEqual(LARGEST_SPREAD, 0.3)
        for default, expected in ((close, True), (apart, False)):
            measurement = self.measured(default=default, virt_uv=(20, 20, 20), uv=(20, 20, 20))
            figure = self.figure(measurement)
            self.assertEqual(figure["loops"]["default"]["result"], expected)
            self.assertEqual(figure["loops"]["default"]["runs"], list(default))
            self.assertEqual(figure["loops"]["virt-uv"]["to_default"], 2 if expected else None)
            self.assertEqual(figure["loops"]["virt-uv"]["to_uv"], 1)
            self.assertEqual(figure["targets"][0],
                             {"wanted": ">= 1.5 of default", "reached": 2, "met": True} if expected else
                             {"wanted": ">= 1.5 of default", "reached": None, "met": None})
            self.assertEqual(figure["targets"][1], {"wanted": ">= 0.9 of uv", "reached": 1, "met": True})
            text = report.measurement_text(measurement)
            self.assertEqual("no result, target >= 1.5 of default" in text, not expected)
            self.assertEqual(bool(re.search(r"(?m)^  default +no result ", text)), not expected)
            self.assertEqual(report.targets_text([measurement]),
                             "targets met: 2\n" if expected else
                             "targets met: 1\nidle/1 callbacks: no result, target >= 1.5 of default\n")

    def test_a_missed_target_is_named_with_what_was_reached(self):
        measurement = self.measured(default=(20, 20), virt_uv=(20, 20), uv=(20, 20))
        self.assertEqual(report.targets_text([measurement]),
                         "targets met: 1\nidle/1 callbacks: 1, target >= 1.5 of default: MISSED\n")

    def test_a_target_above_the_floor_is_a_ratio_of_what_is_above_it(self):
        wanted = "<= 0.8 of default, above the floor"
        for floor, expected in (((50, 50), {"reached": 0.8, "met": True}), ((40, 40), {"reached": 5 / 6, "met": False}),
                                ((10, 50), {"reached": None, "met": None}), ((), {"reached": None, "met": None}),
                                ((100, 100), {"reached": None, "met": None})):
            figure = self.figure(measured("latency", 1, default=(100, 100), virt_uv=(90, 90), floor=floor))
            self.assertEqual(figure["targets"], [{"wanted": "<= 0.9 of default", "reached": 0.9, "met": True},
                                                 {"wanted": wanted, **expected}])

    def test_a_loop_that_gave_nothing_has_no_row_and_no_verdict(self):
        figure = self.figure(self.measured(default=(20, 20)))
        self.assertEqual(list(figure["loops"]), ["default"])
        self.assertEqual(figure["targets"], [])


class Page(unittest.TestCase):
    """On values that are made up, as above."""

    def report(self, system, libvirt, *measurements):
        machine = {"system": system, "processor": "Abacus", "cores": 2, "kernel": "6.1", "libvirt": libvirt,
                   "libuv": "1.50.0"}
        return report.document(machine, {"runs": 3, "seconds": 0.15, "smoke": False}, measurements)

    def test_each_platform_has_a_column_of_what_it_reached(self):
        idle = {"default": (10, 10), "virt_uv": (20, 20), "uv": (20, 20)}
        apart = dict(idle, default=(1, 20))
        slow = dict(idle, virt_uv=(10, 10))
        reports = [self.report(system, 9000000, *measurements) for system, measurements in
                   (("Debian GNU/Linux 12 (bookworm)", [measured("idle", 1, **idle), measured("idle", 100, **idle)]),
                    ("Debian GNU/Linux 13 (trixie)", [measured("idle", 1, **slow)]),
                    ("Debian GNU/Linux sid", [measured("idle", 100, **idle), measured("idle", 1, **apart)]))]
        self.assertEqual(page.targets_table(reports).splitlines(), [
            "| workload | figure | target | Debian 12 (bookworm) | Debian 13 (trixie) | Debian sid |",
            "| --- | --- | --- | --- | --- | --- |",
            "| idle/1 | callbacks, 1/s | ≥ 1.5 of default | 2 | 1 **missed** | no result |",
            "| idle/1 | callbacks, 1/s | ≥ 0.9 of uv | 1 | 0.5 **missed** | 1 |",
            "| idle/100 | callbacks, 1/s | ≥ 8 of default | 2 **missed** |  | 2 **missed** |",
            "| idle/100 | callbacks, 1/s | ≥ 0.9 of uv | 1 |  | 1 |"])

    def test_a_run_of_two_platforms_is_written_into_the_page(self):
        wakes = [measured("wake", size, default=(rate, rate), virt_uv=(900, 900), uv=(limit, limit))
                 for size, rate, limit in ((1, 450, 900), (1000, 3, 1000))]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(page.DOC / "benchmark.md", folder)
            names = []
            for system, libvirt, measurements in (("Debian GNU/Linux 12 (bookworm)", 9000000, wakes),
                                                  ("Debian GNU/Linux 13 (trixie)", 11003000, wakes[:1])):
                names.append(Path(folder, f"{libvirt}.json"))
                names[-1].write_text(json.dumps(self.report(system, libvirt, *measurements)), encoding="utf-8")
            with mock.patch("page.DOC", Path(folder)), mock.patch("sys.argv", ["page.py", *names]):
                page.main()
            text = Path(folder, "benchmark.md").read_text(encoding="utf-8")
            plot = ElementTree.parse(Path(folder, "benchmark.svg"))
        for line in ("2 cores of Abacus, Linux 6.1; 3 runs of 0.15 s for each loop.",
                     "- Debian 12 (bookworm): libvirt 9.0.0, libuv 1.50.0",
                     "- Debian 13 (trixie): libvirt 11.3.0, libuv 1.50.0",
                     "| wake/1 | wakes, 1/s | ≥ 0.95 of uv | 1 | 1 |",
                     "| wake | 1000 | 900 | 1.00 | 1,000 | 1.11 |",
                     "| wake/1000 | wakes, 1/s | 3.00 ±0% |  |  | 900 ±0% | 1,000 ±0% |  | 300 | 0.9 |"):
            self.assertIn(line, text.splitlines())
        texts = [element.text for element in plot.iter("{http://www.w3.org/2000/svg}text")]
        for said in ("virt-uv", "90% to 100% of plain libuv", "libvirt's default loop", "300 ×",
                     "with 1,000 idle watches"):
            self.assertIn(said, texts)

    def test_the_faster_of_two_lines_is_plotted_above_the_other(self):
        wakes = [measured("wake", size, default=(rate, rate), virt_uv=(900, 900), uv=(900, 900))
                 for size, rate in ((1, 450), (1000, 3))]
        plot = ElementTree.fromstring(page.plot(self.report("Debian", 9000000, *wakes)))
        lines = {path.get("class"): [tuple(map(float, place.split())) for place in path.get("d")[1:].split("L")]
                 for path in plot.iter("{http://www.w3.org/2000/svg}path") if path.get("class").startswith("line")}
        (x, y), (right, level) = lines["line ours"]
        (other_x, other_y), (other_right, lower) = lines["line other"]
        self.assertEqual((x, right, level), (other_x, other_right, y))
        self.assertLess(x, right)
        self.assertTrue(y < other_y < lower, (y, other_y, lower))  # y grows downwards


class WithLibvirtd(Smoke, unittest.TestCase):
    def test_every_workload_yields_its_figures_on_every_loop(self):
        if os.geteuid() != 0:
            self.skipTest("a private libvirtd has to be started by root")
        self.check(sorted(set(listed()) & NEEDS_LIBVIRTD))

    def test_virt_uv_within_python_is_put_beside_libvirtaio_in_either_loop(self):
        if os.geteuid() != 0:
            self.skipTest("a private libvirtd has to be started by root")
        ratio = os.path.join(os.path.dirname(report.__file__), "python_ratio.py")
        done = subprocess.run([ratio, os.environ["VIRT_UV_LIBRARY"], "--runs", "1", "--seconds", "0.05"], check=True,
                              capture_output=True, text=True, timeout=LIMIT_SECONDS)
        rows = done.stdout.splitlines()[2:]
        self.assertEqual([re.match(r"\| `([a-z]+)`, N = (\d+) ", row).groups() for row in rows],
                         [(name, str(size)) for name, size in
                          [("wake", 1), ("wake", 1000), ("active", 1), ("active", 1000)] + 2 * [("remote", 1)] +
                          2 * [("remote", 4)]])
        for row in rows:
            self.assertRegex(row, r"\| [\d,.]+ \| ([\d,.]+|-) \| [\d,.]+ \| [\d.]+ \|$")


class Daemon(unittest.TestCase):
    def test_with_idle_clients_is_measured_on_both_loops(self):
        path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "figures.json")
        run = bench("daemon", "--smoke", "--json", path)
        self.assertEqual(run.returncode, 0, run.stderr)
        with open(path, encoding="utf-8") as file:
            figures = json.load(file)
        calls = [f"{figures['sizes']['10'][loop]['calls']:,.0f}" for loop in ("default", "virt-uv")]
        row = run.stdout.splitlines()[-1]
        self.assertIn("| 10 | {} | {} | ".format(*calls), row)
        self.assertRegex(figures["machine"]["libuv"], r"^\d")
        self.assertRegex(row, r"^\| \S[^|]* \| 10( \| [\d,.]+){7} \|$")
        self.assertNotRegex(row, r"\| 0 \|")

    def test_figures_alone_go_to_standard_output(self):
        run = bench("daemon", "--smoke", "--json", "-")
        self.assertEqual((run.returncode, list(json.loads(run.stdout)["sizes"])), (0, ["10"]), run.stderr)


if __name__ == "__main__":
    unittest.main()
