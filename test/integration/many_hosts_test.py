#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many hosts in one virt-uv-events, some of them dead from the start: counts and order. many_hosts.py measures.

VIRT_UV_HOSTS is LIVE,DEAD; tools/soak.sh hosts has 1024,100.
"""

import json
import os
import unittest
from collections import Counter

from many_hosts import ManyHosts, deliver_one, wait_for_open, wait_for_threads
from program import LIMIT, TERMINATE

LIVE, DEAD = (int(number) for number in os.environ.get("VIRT_UV_HOSTS", "64,8").split(","))
FILES = 4096
PATIENCE = LIMIT * (1 + LIVE // 64)
# The loop's, and two that wait for the next job.
OWN_THREADS = 3


class ManyHostsAtOnce(unittest.TestCase):
    maxDiff = None

    def watch(self, hosts, files):
        return self.enterContext(hosts.watch(files))

    def check(self, hosts, program, opened):
        """Each live host has told of its one event after it was opened, and no dead one has told of anything."""
        self.assertEqual(sorted(opened), sorted(hosts.live))
        heard = deliver_one(program, hosts, "mark", limit=PATIENCE)
        self.assertEqual(sorted(heard), sorted(hosts.live))
        told = {uri: [] for uri in hosts.live}
        for line in program.stdout.seen:
            record = json.loads(line)
            told[record["uri"]].append(record.get("state") or record["domain"])
        self.assertEqual(Counter(map(tuple, told.values())), {("opened", "mark"): LIVE})

    def test_are_all_open_and_served_while_the_dead_ones_still_do_not_answer(self):
        with ManyHosts(LIVE, DEAD) as hosts:
            program = self.watch(hosts, FILES)
            self.check(hosts, program, wait_for_open(program, hosts, limit=PATIENCE))
            hosts.wait_for_silent_ones()
            wait_for_threads(program.process, OWN_THREADS + len(hosts.silent))
            self.assertEqual(program.end(TERMINATE), 0)
            said = "\n".join(program.stderr.seen)
            for uri in hosts.refusing:
                self.assertIn(f"{uri}: cannot be opened", said)
            for uri in hosts.silent:
                self.assertIn(f"{uri}: left behind while it was being opened", said)
            self.assertEqual(said.count("while it was being opened"), len(hosts.silent))

    def test_need_no_more_open_files_than_the_program_says(self):
        """Under a limit of just as many, none fails to open."""
        with ManyHosts(LIVE, 0) as hosts:
            program = self.watch(hosts, hosts.files_needed())
            self.check(hosts, program, wait_for_open(program, hosts, limit=PATIENCE))
            self.assertEqual(program.end(TERMINATE), 0)
            self.assertNotIn("cannot be opened", "\n".join(program.stderr.seen))


if __name__ == "__main__":
    unittest.main()
