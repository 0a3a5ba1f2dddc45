#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hypervisor, under software emulation: a domain's life as virsh sees it, its console, and storage volumes."""

import os
import re
import shutil
import unittest

from program import TIME, Program, events
from qemu import CTRL_ALT_DEL, QemuLibvirtd

TIMES = rf"({TIME} |^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}}\+0000: )"
BOOTED = "No bootable device."
SMALL = 1000
RUN = os.environ.get("VIRT_UV_RUN_PROGRAM")


class OnQemu(unittest.TestCase):
    maxDiff = None
    LAUNCHER, DAEMON = (), "libvirtd"

    @classmethod
    def setUpClass(cls):
        cls.libvirtd = cls.enterClassContext(QemuLibvirtd(launcher=cls.LAUNCHER, program=cls.DAEMON))

    def streams(self, what, *arguments):
        """streams.cpp: it fails if a watch, a timeout or an fd is left."""
        return self.enterContext(Program(os.environ["VIRT_UV_STREAMS"], what, self.libvirtd.uri, *arguments))

    def ended(self, program):
        self.assertEqual((program.end(), program.stderr.seen), (0, []))
        return program.stdout.seen


class ADomain(OnQemu):
    def test_has_the_events_that_virsh_prints_in_its_order(self):
        virsh = self.enterContext(
            Program("virsh", "-c", self.libvirtd.uri, "event", "--all", "--loop", "--timestamp"))
        ours = self.enterContext(events("-c", self.libvirtd.uri))
        first = self.libvirtd.reach(virsh, ours)

        self.libvirtd.define("tiny")
        self.libvirtd.virsh("start tiny --paused")
        console = self.streams("console", "tiny")
        console.expect_said("open")
        self.libvirtd.virsh("resume tiny")
        console.expect(BOOTED)
        self.libvirtd.virsh("suspend tiny", "resume tiny", "reset tiny")
        console.expect(BOOTED)
        # There is no system in it that would hear ACPI's event, and restart: the keys do that.
        self.libvirtd.virsh("reboot tiny --mode acpi", f"send-key tiny {CTRL_ALT_DEL}")
        console.expect(BOOTED)
        self.libvirtd.virsh("destroy tiny", "undefine tiny")
        self.libvirtd.define("last")

        theirs, mine = (self.since(program, first) for program in (virsh, ours))
        self.assertEqual([line.replace(f"{self.libvirtd.uri}: ", "", 1) for line in mine], theirs)
        lives = [line.split(": ", 1)[1] for line in theirs if "'lifecycle' for domain 'tiny'" in line]
        # QEMU's own farewell at `destroy` depends on its version.
        self.assertEqual([life for life in lives if not life.startswith("Shutdown")],
                         ["Defined Added", "Started Booted", "Suspended Paused", "Resumed Unpaused", "Suspended Paused",
                          "Resumed Unpaused", "Stopped Destroyed", "Undefined Removed"])
        self.assertGreaterEqual(sum("'reboot' for domain 'tiny'" in line for line in theirs), 2)

    def test_outlives_its_daemon_which_finds_it_again(self):
        self.libvirtd.define("lasting")
        self.libvirtd.virsh("start lasting --paused")
        qemu = self.libvirtd.domain_process("lasting")
        for stop in (self.libvirtd.end, self.libvirtd.kill):
            self.assertIn(stop(), (0, None))
            self.libvirtd.start()
            with Program("virsh", "-c", self.libvirtd.uri, "event", "--all", "--loop") as virsh:
                self.libvirtd.reach(virsh)
                console = self.streams("console", "lasting")
                console.expect_said("open")
                self.libvirtd.virsh("reset lasting", "resume lasting")
                virsh.expect("'lifecycle' for domain 'lasting': Resumed Unpaused")
                console.expect(BOOTED)
                self.libvirtd.virsh("suspend lasting")
                virsh.expect("'lifecycle' for domain 'lasting': Suspended Paused")
                self.assertEqual(self.libvirtd.domain_process("lasting"), qemu)
        self.libvirtd.virsh("destroy lasting", "undefine lasting")
        self.assertEqual((console.end(), console.stderr.seen), (0, ["open"]))

    @staticmethod
    def since(program, first):
        """Its lines from the last one about the domain `first` to the one about `last`, without their times."""
        program.expect("'last'")
        lines = [re.sub(TIMES, "", line) for line in program.stdout.seen]
        return lines[max(number for number, line in enumerate(lines) if f"'{first}'" in line):]


if RUN:
    class ADomainOfALibvirtdUnderVirtUvRun(ADomain):
        LAUNCHER = (RUN,)

        def test_is_on_that_loop(self):
            self.assertIn("libvirt-uv-preload.so", "\n".join(self.libvirtd.mapped()))

    @unittest.skipUnless(shutil.which("virtqemud"), "virtqemud: not installed")
    class ADomainOfAVirtqemudUnderVirtUvRun(ADomainOfALibvirtdUnderVirtUvRun):
        DAEMON = "virtqemud"


class AConsole(OnQemu):
    def test_is_read_to_its_end_byte_for_byte(self):
        self.libvirtd.define("talker")
        self.libvirtd.virsh("start talker --paused")
        console = self.streams("console", "talker")
        console.expect_said("open")
        self.libvirtd.virsh("resume talker")
        console.expect(BOOTED)
        self.libvirtd.virsh("destroy talker")
        self.assertEqual((console.end(), console.stderr.seen), (0, ["open"]))
        with open(self.libvirtd.console_log("talker")) as log:
            self.assertEqual("\n".join(console.stdout.seen), log.read().rstrip("\n"))


class AVolume(OnQemu):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.libvirtd.make_pool("pool")

    def test_of_64_mib_goes_up_and_comes_down(self):
        self.assertEqual(self.ended(self.streams("large", "pool")), [f"{64 << 20} bytes went up and came down"])

    def test_leaves_nothing_behind_after_a_thousand_streams_of_which_half_were_aborted(self):
        self.assertEqual(self.ended(self.streams("small", "pool", SMALL)), [f"{SMALL} streams, {SMALL // 2} aborted"])


if __name__ == "__main__":
    unittest.main()
