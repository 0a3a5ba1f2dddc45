#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""worker_calls.cpp on a real libvirtd. In a tree built with ThreadSanitizer: no report but those that tsan.supp
names."""

import os
import unittest

from libvirtd import Libvirtd
from program import run

CALLS = int(os.environ.get("VIRT_UV_WORKER_CALLS", "4000"))
SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tsan.supp")


class RemoteCallsFromFourThreads(unittest.TestCase):
    def test_and_events_in_the_loop_do_not_disturb_each_other(self):
        # Each suppression has its reason beside it in tsan.supp; any other report is an exit status of 66.
        options = f"{os.environ.get('TSAN_OPTIONS', '')} suppressions={SUPPRESSIONS} exitcode=66 history_size=4"
        with Libvirtd() as libvirtd:
            status, printed, said = run(os.environ["VIRT_UV_WORKER_CALLS_PROGRAM"], libvirtd.uri, str(CALLS),
                                        env={"TSAN_OPTIONS": options, "G_SLICE": "always-malloc"})  # see tsan.supp
        self.assertEqual((status, printed), (0, [f"events {2 * CALLS} of {2 * CALLS}"]), "\n".join(said))
        self.assertEqual([line for line in said if "WARNING: ThreadSanitizer" in line], [], "\n".join(said))


if __name__ == "__main__":
    unittest.main()
