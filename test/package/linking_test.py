#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways to link that doc/installing.md shows, word for word: each builds the README's program, and runs it as far as
the line that it prints. Meson builds the library as a subproject, and installs it for the others.

Environment: VIRT_UV_SOURCE, the repository; VIRT_UV_SCRATCH, a folder that is this test's.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

import blocks

SOURCE = pathlib.Path(os.environ["VIRT_UV_SOURCE"])
SCRATCH = pathlib.Path(os.environ["VIRT_UV_SCRATCH"])
PREFIX = SCRATCH / "prefix"
SHOWN = SOURCE / "doc/installing.md"


def the_command_with(words):
    return next(line for block in blocks.blocks(SHOWN) if block.language == "sh"
                for line in block.text.splitlines() if words in line)


def run(*command, folder):
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def new_folder(name):
    folder = SCRATCH / name
    folder.mkdir(parents=True)
    write(folder / "program.c", blocks.named(SOURCE / "README.md", "program.c"))
    return folder


def write(file, text):
    file.write_text(text, encoding="utf-8")


class Linking(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(SCRATCH, ignore_errors=True)
        cls.meson = new_folder("meson")
        write(cls.meson / "meson.build", blocks.named(SHOWN, "with-meson/meson.build"))
        subprojects = cls.meson / "subprojects"
        subprojects.mkdir()
        write(subprojects / "virt-uv.wrap", blocks.named(SHOWN, "with-meson/subprojects/virt-uv.wrap"))
        (subprojects / "virt-uv").symlink_to(SOURCE)  # as if it had been cloned
        run("meson", "setup", "build", f"--prefix={PREFIX}", "--libdir=lib", "-Ddefault_library=both",
            "--wrap-mode=nodownload", "--force-fallback-for=virt-uv", "--fatal-meson-warnings", folder=cls.meson)
        run("ninja", "--quiet", "-C", "build", folder=cls.meson)
        run("meson", "install", "--quiet", "-C", "build", folder=cls.meson)
        library, = (path.parent for path in PREFIX.glob("lib*/**/libvirt-uv.so.0"))
        os.environ.update(PKG_CONFIG_PATH=str(library / "pkgconfig"), LD_LIBRARY_PATH=str(library))

    def check(self, program, is_shared):
        needed = subprocess.run(["readelf", "--dynamic", program], check=True, capture_output=True, text=True).stdout
        self.assertEqual("libvirt-uv.so.0" in needed, is_shared, needed)
        # It goes on for ever, so it is killed when it has printed its line.
        with subprocess.Popen(["stdbuf", "--output=L", program], stdout=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline()
            process.kill()
        self.assertEqual(line, "test: event 3, detail 0\n")

    def test_meson_builds_it_as_a_subproject(self):
        self.check(self.meson / "build" / "program", is_shared=True)

    def test_pkg_config_finds_it(self):
        folder = new_folder("pkg-config")
        run("sh", "-ec", the_command_with("--cflags --libs virt-uv"), folder=folder)
        self.check(folder / "program", is_shared=True)

    def test_cmake_finds_it(self):
        folder = new_folder("cmake")
        write(folder / "CMakeLists.txt", blocks.named(SHOWN, "with-cmake/CMakeLists.txt"))
        run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={PREFIX}", folder=folder)
        run("cmake", "--build", "build", folder=folder)
        self.check(folder / "build" / "program", is_shared=True)

    def test_the_archive_is_linked_as_pkg_config_says(self):
        folder = new_folder("static")
        run("sh", "-ec", the_command_with("--static"), folder=folder)
        self.check(folder / "program", is_shared=False)

    def test_a_later_version_than_there_is_is_refused_by_cmake(self):
        folder = new_folder("later")
        lists = blocks.named(SHOWN, "with-cmake/CMakeLists.txt")
        write(folder / "CMakeLists.txt", re.sub(r"virt-uv [\d.]+ REQUIRED", "virt-uv 99 REQUIRED", lists))
        answer = subprocess.run(["cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={PREFIX}"], cwd=folder, check=False,
                                capture_output=True, text=True)
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn("99", answer.stderr)


if __name__ == "__main__":
    unittest.main()
