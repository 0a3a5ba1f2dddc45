#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/bench/daemon_page.py: the page has the runs' figures, and the plot can be read on any page.

PYTHONPATH has the folder of the benchmark's Python modules.
"""

import pathlib
import re
import tempfile
import unittest

import daemon_page

PAGE = """\
Before.

<!-- machine -->
old
<!-- /machine -->

<!-- clients -->
<!-- /clients -->

After.
"""


def figures(calls):
    return {"calls": calls, "cpu": 200, "event": 0.5}


REPORT = {
    "machine": {"system": "Debian GNU/Linux 12", "processor": "a processor", "cores": 2, "kernel": "6.1",
                "libvirt": 9000000, "libuv": "1.44.2"},
    "runs": 5, "seconds": 2,
    "sizes": {size: {"default": figures(default), "virt-uv": figures(ours)}
              for size, default, ours in (("10", 2000, 2100), ("1000", 500, 1500), ("3000", 200, 1700))},
}
LATER = {**REPORT, "machine": {**REPORT["machine"], "system": "Debian GNU/Linux 13", "libuv": "1.50.0"},
         "sizes": {"3000": {"default": figures(100), "virt-uv": figures(300)}}}


class Page(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.page = self.folder / "virt-uv-run.md"
        self.page.write_text(PAGE, encoding="utf-8")

    def test_has_the_rows_of_each_run_and_keeps_its_text(self):
        for _ in range(2):
            daemon_page.update([REPORT, LATER], self.folder)
            text = self.page.read_text(encoding="utf-8")
            self.assertRegex(text, r"^Before\.\n\n<!-- machine -->\n2 cores of a processor, .*\n\n"
                                   r"- Debian 12: libvirt 9\.0\.0, libuv 1\.44\.2\n"
                                   r"- Debian 13: libvirt 9\.0\.0, libuv 1\.50\.0\n<!-- /machine -->\n")
            self.assertTrue(text.endswith("<!-- /clients -->\n\nAfter.\n"), text)
            for row in ("Debian 12 | 3,000 | 200 | 1,700 | 8.50", "Debian 13 | 3,000 | 100 | 300 | 3.00"):
                self.assertEqual(text.count(f"| {row} | 200 | 200 | 0.50 | 0.50 |\n"), 1)
            self.assertNotIn("old", text)

    def test_without_a_marker_is_left_alone(self):
        self.page.write_text(PAGE.replace("<!-- /clients -->", ""), encoding="utf-8")
        with self.assertRaisesRegex(SystemExit, "<!-- clients --> and <!-- /clients -->"):
            daemon_page.update([REPORT, LATER], self.folder)
        self.assertIn("old", self.page.read_text(encoding="utf-8"))

    def plot(self):
        daemon_page.update([REPORT, LATER], self.folder)
        return (self.folder / "virt-uv-run.svg").read_text(encoding="utf-8")

    def test_has_a_plot_with_the_headline_and_a_line_of_each_loop(self):
        svg = self.plot()
        said = re.sub(r"<[^>]*>", "", svg)
        for words in ("8.5 ×", "with 3,000 idle clients", "virt-uv-run", "3,000", "libvirt's default loop"):
            self.assertIn(words, said)
        for line in ("ours", "other"):
            self.assertRegex(svg, rf'class="line {line}" d="M[\d. ]+L[\d. ]+L[\d. ]+"')


if __name__ == "__main__":
    unittest.main()
