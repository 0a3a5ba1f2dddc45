#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in of doc/examples, applied to Debian's libvirtd.service, as systemd reads it.

Environment: VIRT_UV_RUN_PROGRAM."""

import os
import pathlib
import shutil
import tempfile
import unittest

from program import run

UNIT = pathlib.Path("/lib/systemd/system/libvirtd.service")
DROP_IN = pathlib.Path(__file__).parents[2] / "doc/examples/virt-uv-run.conf"
INSTALLED = "/usr/local/bin/virt-uv-run"


@unittest.skipUnless(UNIT.exists(), f"{UNIT}: not installed (Debian 12: libvirt-daemon-system; 13: libvirt-daemon)")
class DropIn(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.unit = self.folder / UNIT.name
        shutil.copy(UNIT, self.unit)

    def verify(self):
        status, said, errors = run("systemd-analyze", "verify", "--man=no", self.unit,
                                   env={"SYSTEMD_UNIT_PATH": f"{self.folder}:"})
        return status, said + errors

    def apply(self, launcher):
        text = DROP_IN.read_text(encoding="utf-8")
        self.assertIn(f"\nExecStart={INSTALLED} ", text)
        folder = self.folder / f"{UNIT.name}.d"
        folder.mkdir(exist_ok=True)
        (folder / DROP_IN.name).write_text(text.replace(INSTALLED, launcher), encoding="utf-8")

    def test_gives_systemd_nothing_more_to_say_of_debians_unit(self):
        without = self.verify()
        self.apply(os.environ["VIRT_UV_RUN_PROGRAM"])
        self.assertEqual(self.verify(), without)

    def test_is_what_systemd_would_start(self):
        self.apply("/no/such/virt-uv-run")
        status, said = self.verify()
        self.assertNotEqual(status, 0)
        self.assertIn("/no/such/virt-uv-run", "\n".join(said))


if __name__ == "__main__":
    unittest.main()
