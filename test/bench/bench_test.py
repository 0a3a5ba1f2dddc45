#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-bench is right: every workload does its work on every loop, and the table is what the runs gave.

No time is asserted. VIRT_UV_BENCH names the program.
"""

import json
import os
import re
import resource
import statistics
import subprocess
import unittest

PROGRAM = os.environ["VIRT_UV_BENCH"]
LIMIT_SECONDS = 240
NEEDS_LIBVIRTD = {"remote", "latency", "crowd", "fleet", "quiet"}
MAY_BE_ZERO = {"wake-ups"}


def bench(*args, **kwargs):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=LIMIT_SECONDS, **kwargs)


def figures_of(*args):
    """By (workload, size, figure): what the JSON says of it."""
    run = bench("--json", "-", *args)
    if run.returncode != 0:
        raise AssertionError(f"virt-uv-bench {args} failed:\n{run.stdout}{run.stderr}")
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
            self.assertAlmostEqual(of_loop["to_default"], of_loop["median"] / loops["default"]["median"])
            self.assertAlmostEqual(of_loop["to_uv"], of_loop["median"] / loops["uv"]["median"])
        self.assertEqual([target["wanted"] for target in figure["targets"]], [">= 8 of default", ">= 0.9 of uv"])
        for target, reached, least in zip(figure["targets"], ("to_default", "to_uv"), (8, 0.9)):
            self.assertAlmostEqual(target["reached"], loops["virt-uv"][reached])
            self.assertEqual(target["met"], loops["virt-uv"][reached] >= least)

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
                           ([], "name the workloads to run, or say --all; --list shows them")):
            run = bench(*args)
            self.assertEqual((run.returncode, run.stdout), (1, ""))
            self.assertEqual(run.stderr, f"virt-uv-bench: {said}\n")


class WithLibvirtd(Smoke, unittest.TestCase):
    def test_every_workload_yields_its_figures_on_every_loop(self):
        if os.geteuid() != 0:
            self.skipTest("a private libvirtd has to be started by root")
        self.check(sorted(set(listed()) & NEEDS_LIBVIRTD))


if __name__ == "__main__":
    unittest.main()
