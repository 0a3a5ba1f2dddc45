#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""doc/examples/redis: a real Redis and a private libvirtd in one loop.

Environment: VIRT_UV_DOMAINS_IN_REDIS, the example.
"""

import json
import os
import tempfile
import unittest

from libvirtd import Libvirtd
from program import INTERRUPT, LIMIT, Program, run

SUSPENDED, RESUMED = "3", "4"


class DomainsInRedis(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.socket = os.path.join(folder, "redis")
        self.server = self.enterContext(Program("redis-server", "--port", "0", "--unixsocket", self.socket, "--dir",
                                                folder, "--save", ""))
        self.server.expect("eady to accept connections")
        self.libvirtd = self.enterContext(Libvirtd())
        self.last = "0"
        self.program = self.enterContext(Program(os.environ["VIRT_UV_DOMAINS_IN_REDIS"], self.libvirtd.uri,
                                                 self.socket))
        self.program.expect_said("watching")

    def redis(self, *words):
        status, printed, said = run("redis-cli", "-s", self.socket, "--json", *words)
        self.assertEqual((status, said), (0, []))
        return json.loads("\n".join(printed))

    def next_events(self, count):
        """Waits for the next entries of the stream."""
        events = []
        while len(events) < count:
            answer = self.redis("XREAD", "BLOCK", str(1000 * LIMIT), "STREAMS", "domains", self.last)
            self.assertTrue(answer, f"no more than {events}")
            for self.last, fields in answer["domains"]:
                events.append(dict(zip(fields[::2], fields[1::2])))
        self.assertEqual({event["domain"] for event in events}, {"test"})
        return [event["event"] for event in events]

    def command(self, *texts):
        self.redis("RPUSH", "commands", *texts)

    def end(self):
        self.assertEqual(self.program.end(INTERRUPT), 0)

    def test_each_event_is_an_entry_in_order(self):
        self.libvirtd.virsh(*["suspend test", "resume test"] * 25)
        self.assertEqual(self.next_events(50), [SUSPENDED, RESUMED] * 25)
        self.end()

    def test_a_command_suspends_and_resumes_a_domain(self):
        for text, event, state in [("suspend test", SUSPENDED, "paused"), ("resume test", RESUMED, "running")] * 3:
            self.command(text)
            self.assertEqual(self.next_events(1), [event])
            self.assertEqual(run("virsh", "-c", self.libvirtd.uri, "domstate", "test")[1][0], state)
        self.end()

    def test_commands_are_carried_out_in_order(self):
        self.command(*["suspend test", "resume test"] * 25)
        self.assertEqual(self.next_events(50), [SUSPENDED, RESUMED] * 25)
        self.end()

    def test_a_command_that_fails_is_said_with_libvirt_s_words_and_the_next_is_carried_out(self):
        self.command("dance test", "suspend", "suspend nobody", "suspend test")
        self.assertEqual(self.next_events(1), [SUSPENDED])
        self.end()
        said = sorted(line for line in self.program.stderr.seen if not line.startswith("libvirt: "))
        self.assertEqual(said[:2], ["dance test: not a command", "suspend nobody: Domain not found"])
        self.assertEqual(said[2:], ["suspend: not a command", "watching"])

    def test_the_end_waits_for_no_command(self):
        self.end()
        self.assertEqual(self.redis("EXISTS", "domains"), 0)

    def test_a_redis_that_goes_is_said_and_ends_it(self):
        self.libvirtd.virsh("suspend test")
        self.next_events(1)  # hiredis's adapter before 1.2 does not report a server that goes with commands unread
        self.server.__exit__()
        self.program.expect_said("Redis: ")
        self.assertEqual(self.program.end(), 1)


if __name__ == "__main__":
    unittest.main()
