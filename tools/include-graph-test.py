#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/include-graph.py finds in made-up trees: includes that point up, cycles, and libuv in the core."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

INCLUDE_GRAPH = Path(__file__).with_name("include-graph.py")

SOUND = {
    "core/slots.hpp": "#include <vector>\n",
    "core/watches.hpp": '#include "core/slots.hpp"\n',
    "core/watches.cpp": '#include "core/watches.hpp"\n',
    "loop/polls.hpp": '#include <uv.h>\n#include "core/watches.hpp"\nuv_poll_t poll;\n',
    "loop/polls.cpp": '#include "loop/polls.hpp"\n#include <sys/epoll.h>\nint fd = epoll_create1(0);\n',
    "api/capi.cpp": '#include "core/slots.hpp"\n#include "loop/polls.hpp"\n#include "virt-uv/virt-uv.h"\n',
    "node/addon.cpp": '#include "js.h"\n#include <virt-uv/virt-uv.h>\n',
    "node/js.h": "",
}


class IncludeGraph(unittest.TestCase):
    def run_on(self, files):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "lib").mkdir()
            for name, text in files.items():
                path = Path(folder, "lib", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return subprocess.run([sys.executable, INCLUDE_GRAPH, "lib"], cwd=folder, capture_output=True, text=True)

    def faults(self, changed):
        """The lines that are printed for SOUND with these files changed or added."""
        run = self.run_on({**SOUND, **changed})
        self.assertEqual(run.stderr, "")
        self.assertEqual(run.returncode, 1 if run.stdout else 0)
        return run.stdout.splitlines()

    def test_a_sound_tree_has_no_fault(self):
        self.assertEqual(self.faults({}), [])

    def test_the_core_includes_no_other_layer(self):
        self.assertEqual(self.faults({"core/slots.hpp": '#include <vector>\n#include "loop/waker.hpp"\n',
                                      "loop/waker.hpp": ""}),
                         ["lib/core/slots.hpp:2: core includes loop/waker.hpp, which is loop's"])

    def test_the_loop_does_not_include_the_api(self):
        self.assertEqual(self.faults({"loop/waker.cpp": '#include "api/attach.hpp"\n', "api/attach.hpp": ""}),
                         ["lib/loop/waker.cpp:1: loop includes api/attach.hpp, which is api's"])

    def test_a_binding_includes_no_layer(self):
        self.assertEqual(self.faults({"node/inspect.cpp": '#include "core/slots.hpp"\n'}),
                         ["lib/node/inspect.cpp:1: node includes core/slots.hpp, which is core's"])

    def test_an_include_is_found_however_it_is_written(self):
        for include in ('"../loop/waker.hpp"', "<loop/waker.hpp>"):
            with self.subTest(include):
                faults = self.faults({"core/slots.hpp": f"#  include {include}\n", "loop/waker.hpp": ""})
                self.assertEqual(len(faults), 1)

    def test_a_file_lies_in_a_layer(self):
        for name in ("log.hpp", "more/log.hpp"):
            with self.subTest(name):
                self.assertEqual(self.faults({name: ""}),
                                 [f"lib/{name}:1: lies in no layer: the folders are api, loop, core, node, watch"])

    def test_two_headers_do_not_include_each_other(self):
        self.assertEqual(self.faults({"core/a.hpp": '#include "core/b.hpp"\n',
                                      "core/b.hpp": '\n#include "core/a.hpp"\n'}),
                         ["lib/core/b.hpp:2: this include closes a cycle: core/a -> core/b -> core/a"])

    def test_a_header_and_its_source_file_are_one_node(self):
        self.assertEqual(self.faults({"core/a.hpp": "", "core/a.cpp": '#include "a.hpp"\n#include "b.hpp"\n',
                                      "core/b.hpp": '#include "a.hpp"\n'}),
                         ["lib/core/b.hpp:1: this include closes a cycle: core/a -> core/b -> core/a"])

    def test_each_cycle_is_found(self):
        faults = self.faults({"core/a.hpp": '#include "b.hpp"\n#include "c.hpp"\n', "core/b.hpp": '#include "a.hpp"\n',
                              "core/c.hpp": '#include "a.hpp"\n'})
        self.assertEqual(len([fault for fault in faults if "closes a cycle" in fault]), 2)

    def test_the_core_includes_no_header_of_libuv_or_epoll(self):
        for header in ("<uv.h>", '"uv.h"', "<uv/unix.h>", "<sys/epoll.h>"):
            with self.subTest(header):
                self.assertEqual(self.faults({"core/slots.hpp": f"\n#include {header}\n"}),
                                 [f"lib/core/slots.hpp:2: core includes {header[1:-1]}, "
                                  "and shall know neither libuv nor epoll"])

    def test_the_core_mentions_nothing_of_libuv_or_epoll(self):
        for identifier in ("uv_now", "UV_EINVAL", "epoll_event", "EPOLLIN"):
            with self.subTest(identifier):
                self.assertEqual(self.faults({"core/slots.hpp": f'/* "\n" */ auto x = {identifier};\n'}),
                                 [f"lib/core/slots.hpp:2: core mentions {identifier}, "
                                  "and shall know neither libuv nor epoll"])

    def test_comments_and_strings_and_names_of_our_own_are_no_mention(self):
        self.assertEqual(self.faults({"core/slots.hpp": '// uv_run\n/* uv_run\n epoll */ auto s = "epoll \\" uv_run";\n'
                                                        "int log = VIRT_UV_LOG_WARN + virt_uv_loop();\n"}), [])

    def test_a_tree_without_a_source_file_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([sys.executable, INCLUDE_GRAPH, folder], capture_output=True, text=True)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("no source file", run.stderr)


if __name__ == "__main__":
    unittest.main()
