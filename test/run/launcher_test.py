#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-uv-run itself: what it passes on, to whom, and what it refuses.

Environment: VIRT_UV_RUN_PROGRAM, VIRT_UV_DEFAULT_LOOP, VIRT_UV_STATIC_PROGRAM."""

import os
import pathlib
import shutil
import signal
import struct
import tempfile
import unittest

from program import Program, run

RUN = os.environ["VIRT_UV_RUN_PROGRAM"]
CASE = [os.environ["VIRT_UV_DEFAULT_LOOP"], "a_watch_that_is_ready_is_called"]
LIBRARIES = pathlib.Path(RUN).parents[2] / "lib"
PRELOADED = "libvirt-uv-preload.so"
IS_LOADED = f"grep -q {PRELOADED} /proc/$$/maps && echo loaded; echo LD_PRELOAD=$LD_PRELOAD VIRT_UV_RUN=$VIRT_UV_RUN"


def statistics(lines):
    return [line for line in lines if ": iterations " in line]


class Launcher(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, name, text, mode=0o755):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def refused(self, *command, status, **options):
        result, said, errors = run(RUN, *command, **options)
        self.assertEqual((result, said), (status, []))
        self.assertEqual(len(errors), 1)
        self.assertTrue(errors[0].startswith("virt-uv-run: "), errors)
        return errors[0]


class Passes(Launcher):
    def test_the_exit_status(self):
        self.assertEqual(run(RUN, "sh", "-c", "exit 42")[0], 42)

    def test_the_process_so_that_signals_are_the_programs_own(self):
        with Program(RUN, "sh", "-c", "echo $$; exec sleep 100") as program:
            self.assertEqual(int(program.expect("")), program.process.pid)
            self.assertEqual(program.end(signal.SIGTERM), -signal.SIGTERM)

    def test_every_word_behind_the_programs_name(self):
        words = ["--stats", "--", "--help", "", "a b", "-x"]
        _, said, _ = run(RUN, "--", "printf", "<%s>\n", *words)
        self.assertEqual(said, [f"<{word}>" for word in words])
        self.assertEqual(run(RUN, "echo", "--", "x")[1], ["-- x"])

    def test_the_environment_as_it_was(self):
        environment = {"LD_PRELOAD": ""}
        theirs = run("env", env=environment)[1]
        ours = run(RUN, "--stats", "env", env=environment)[1]
        self.assertEqual(sorted(set(ours) ^ set(theirs)), ["LD_PRELOAD="])

    def test_a_preload_of_the_users(self):
        other = self.folder / "other.so"
        shutil.copy(LIBRARIES / "libvirt-uv.so.0", other)
        _, said, _ = run(RUN, "sh", "-c", IS_LOADED + "; grep -q other.so /proc/$$/maps && echo other",
                         env={"LD_PRELOAD": str(other)})
        self.assertEqual(said, ["loaded", f"LD_PRELOAD={other} VIRT_UV_RUN=", "other"])

    def test_help_and_version(self):
        self.assertIn("--stats", "\n".join(run(RUN, "--help")[1]))
        self.assertRegex(run(RUN, "--version")[1][0], r"^virt-uv-run \d+\.\d+\.\d+ \(libuv ")


class Children(Launcher):
    def test_do_not_get_the_library(self):
        self.assertEqual(run(RUN, "--stats", "sh", "-c", "/bin/sh -c '" + IS_LOADED + "'")[1],
                         ["LD_PRELOAD= VIRT_UV_RUN="])

    def test_get_it_with_follow(self):
        _, said, errors = run(RUN, "--stats", "--follow", "sh", "-c", " ".join(CASE) + "; true")
        self.assertIn("watch: events 1", said)
        self.assertEqual(len(statistics(errors)), 1)
        _, said, errors = run(RUN, "--stats", "sh", "-c", " ".join(CASE) + "; true")
        self.assertIn("watch: events 1", said)
        self.assertEqual(statistics(errors), [])

    def test_of_a_script_of_env_are_not_what_env_runs(self):
        script = self.file("script", "#!/usr/bin/env sh\necho $0 $1\n" + IS_LOADED + "\n")
        self.assertEqual(run(RUN, script, "word")[1], [f"{script} word", "loaded", "LD_PRELOAD= VIRT_UV_RUN="])
        status, _, _ = run(RUN, self.file("none", "#!/usr/bin/env no-such-program\n"))
        self.assertEqual(status, 127)

    def test_of_a_script_are_not_its_interpreter(self):
        script = self.file("script", "#! /bin/sh -e\n" + IS_LOADED + "\n")
        self.assertEqual(run(RUN, script)[1][0], "loaded")


class Refuses(Launcher):
    def test_what_is_not_there(self):
        self.assertIn("no-such-program: not found", self.refused("no-such-program", status=127))
        self.assertIn("No such file", self.refused("/no/such/program", status=127))
        self.refused("true", env={"PATH": str(self.folder)}, status=127)

    def test_what_cannot_be_executed(self):
        self.refused(self.file("text", "text", 0o644), status=126)
        self.refused(self.folder, status=126)
        self.refused(self.file("garbage", b"\1\2\3\4\5\6\7\10"), status=126)

    def test_a_statically_linked_program(self):
        self.assertIn("statically linked", self.refused(os.environ["VIRT_UV_STATIC_PROGRAM"], status=125))
        script = self.file("script", f"#!{os.environ['VIRT_UV_STATIC_PROGRAM']}\n")
        self.assertIn("statically linked", self.refused(script, status=125))

    def test_a_program_for_another_architecture(self):
        binary = bytearray(pathlib.Path("/bin/true").read_bytes())
        binary[18] ^= 1  # e_machine
        self.assertIn("another architecture", self.refused(self.file("other", bytes(binary)), status=125))

    def test_a_program_that_gets_other_rights(self):
        for mode, why in ((0o4755, "setuid"), (0o2755, "setgid")):
            path = self.file(why, pathlib.Path("/bin/true").read_bytes())
            os.chown(path, 65534, 65534)
            path.chmod(mode)
            self.assertIn(why, self.refused(path, status=125))
            os.chown(path, os.getuid(), os.getgid())
            path.chmod(mode)
            self.assertEqual(run(RUN, path)[0], 0)

    def test_a_program_with_capabilities_for_those_who_lack_them(self):
        for file in [RUN, LIBRARIES / "libvirt-uv.so.0", *pathlib.Path(RUN).parent.glob("*.so")]:
            shutil.copy(file, self.folder)
        self.folder.chmod(0o755)
        path = self.file("capable", pathlib.Path("/bin/true").read_bytes())
        net_bind_service, revision_2_effective = 1 << 10, 0x02000001
        os.setxattr(path, "security.capability",
                    struct.pack("<5I", revision_2_effective, net_bind_service, 0, 0, 0))
        self.assertEqual(run(RUN, path)[0], 0)
        status, _, errors = run(self.folder / "virt-uv-run", path, user=65534,
                                env={"LD_LIBRARY_PATH": str(self.folder)})
        self.assertEqual((status, len(errors)), (125, 1), errors)
        self.assertIn("file capabilities", errors[0])

    def test_to_run_without_one_of_its_libraries(self):
        shutil.copy(RUN, self.folder)
        shutil.copy(pathlib.Path(RUN).parent / PRELOADED, self.folder)
        status, _, errors = run(self.folder / "virt-uv-run", "true", env={"LD_LIBRARY_PATH": str(LIBRARIES)})
        self.assertEqual((status, len(errors)), (125, 1), errors)
        self.assertIn("libvirt-uv-run.so", errors[0])

    def test_to_run_without_its_libraries(self):
        alone = self.folder / "virt-uv-run"
        shutil.copy(RUN, alone)
        status, _, errors = run(alone, "true", env={"LD_LIBRARY_PATH": str(LIBRARIES)})
        self.assertEqual(status, 125)
        self.assertIn(PRELOADED, errors[0])
        self.assertIn(str(self.folder), errors[0])

    def test_a_command_line_that_it_does_not_know(self):
        self.assertIn("name the program", self.refused(status=125))
        self.assertIn("name the program", self.refused("--", status=125))
        self.assertIn("--nonsense", self.refused("--nonsense", "true", status=125))

    def test_a_folder_that_the_linker_cannot_be_told_of(self):
        folder = self.folder / "a b"
        folder.mkdir()
        for path in [pathlib.Path(RUN), *pathlib.Path(RUN).parent.glob("*.so")]:
            shutil.copy(path, folder)
        status, _, errors = run(folder / "virt-uv-run", "true",
                                env={"LD_LIBRARY_PATH": str(LIBRARIES)})
        self.assertEqual(status, 125)
        self.assertIn("a space or a colon", errors[0])


if __name__ == "__main__":
    unittest.main()
