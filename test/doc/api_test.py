#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages that are made of the headers' comments.

Environment: VIRT_UV_SOURCE, the repository; VIRT_UV_API, where the pages are.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["VIRT_UV_SOURCE"])
PAGES = pathlib.Path(os.environ["VIRT_UV_API"])
HEADERS = SOURCE / "include" / "virt-uv"


def shown(page):
    """As man(1) shows it, from the folder that its `.so` lines count from."""
    return subprocess.run(["man", "--warnings", "--local-file", page], cwd=PAGES, check=True, capture_output=True,
                          text=True, env={**os.environ, "MANWIDTH": "100", "MANROFFOPT": "", "LC_ALL": "C.UTF-8"})


def make_pages(headers, output):
    return subprocess.run([SOURCE / "doc/api/pages.sh", SOURCE / "doc/api/Doxyfile", headers, "1", output], check=False,
                          capture_output=True, text=True)


class Api(unittest.TestCase):
    def test_each_function_that_is_exported_has_a_page_of_its_own(self):
        symbols = (SOURCE / "test/package/symbols.list").read_text(encoding="utf-8").splitlines()
        functions = [symbol.split("@")[0] for symbol in symbols if symbol.startswith("virt_uv_")]
        self.assertGreater(len(functions), 10)
        for function in functions:
            text = shown(PAGES / "man3" / f"{function}.3").stdout
            parts = rf"(?s)NAME\n +{function} +- .*#include <virt-uv/virt-uv\.h>.*Function Documentation"
            self.assertRegex(text, parts)

    def test_no_word_of_a_parameter_is_lost(self):
        header = (HEADERS / "virt-uv.h").read_text(encoding="utf-8")
        comments = re.findall(r"/\*\*((?:(?!\*/).)*)\*/\nVIRT_UV_EXPORT [^(]*?(\w+)\(", header, re.DOTALL)
        self.assertGreater(len(comments), 10)
        for comment, function in comments:
            text = shown(PAGES / "man3" / f"{function}.3").stdout
            words = " ".join(re.findall(r"\w+", re.sub(r"\u2010\n *", "", text)))
            for parameter in re.findall(r"@param (.*?)(?=@|\Z)", comment, re.DOTALL):
                self.assertIn(" ".join(re.findall(r"\w+", parameter)), words, function)

    def test_each_page_has_a_name_and_a_description_for_apropos(self):
        for page in [*PAGES.glob("man[37]/*")]:
            subprocess.run(["lexgrog", page], check=True, capture_output=True)

    def test_a_text_in_quotes_is_shown(self):
        self.assertIn("major.minor.micro", shown(PAGES / "man3" / "virt_uv_version_string.3").stdout)

    def test_each_public_type_has_a_page(self):
        header = (HEADERS / "virt-uv.h").read_text(encoding="utf-8")
        types = re.findall(r"^(?:\} (\w+);|typedef [a-z]+ \(\*(\w+)\))", header, re.MULTILINE)
        self.assertGreater(len(types), 6)
        for name in map("".join, types):
            self.assertIn(name, shown(PAGES / "man3" / f"{name}.3").stdout)
        for header in HEADERS.glob("*.hpp"):
            # Those of the namespace itself: what is in `detail` is not public.
            text = re.sub(r"namespace detail \{.*?\n\}  // namespace detail", "", header.read_text(encoding="utf-8"),
                          flags=re.DOTALL)
            for name in re.findall(r"^class (\w+)[^;]*$", text, re.MULTILINE):
                self.assertIn(name, shown(PAGES / "man3" / f"virt_uv_{name}.3").stdout)

    def test_there_is_an_overview_with_the_rules_for_all_functions(self):
        text = shown(PAGES / "man7" / "virt-uv.7").stdout
        for word in ("SIGPIPE", "the loop's thread", "Errors", "Fork", "virt_uv_attach(3)"):
            self.assertIn(word, text)

    def test_no_page_reserves_rights(self):
        for page in PAGES.glob("man?/*"):
            self.assertNotIn("rights", page.read_text(encoding="utf-8"))

    def test_a_public_function_without_a_comment_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            headers = pathlib.Path(folder) / "include" / "virt-uv"
            shutil.copytree(HEADERS, headers)
            self.assertEqual(make_pages(headers, folder).returncode, 0)
            header = headers / "virt-uv.h"
            header.write_text(header.read_text(encoding="utf-8").replace(
                "VIRT_UV_EXPORT void virt_uv_unref", "VIRT_UV_EXPORT void virt_uv_new(void);\nVIRT_UV_EXPORT void "
                "virt_uv_unref").replace("/** @brief Lets uv_run()", "/* Lets uv_run()"), encoding="utf-8")
            answer = make_pages(headers, folder)
            self.assertNotEqual(answer.returncode, 0)
            self.assertIn("virt_uv_new", answer.stderr)


if __name__ == "__main__":
    unittest.main()
