#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--to redis://…, with a real Redis."""

import json
import subprocess
import tempfile
import unittest

from broker_cases import Broker, Cases
from program import LIMIT, Program, run_events

STREAM = "events"


class Redis(Broker):
    name = "Redis"

    @property
    def address(self):
        return f"redis://127.0.0.1:{self.port}/{STREAM}"

    def start(self):
        self.server = Program("redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder,
                              "--appendonly", "yes", "--appendfsync", "always", "--save", "")
        self.server.expect("Ready to accept connections")

    def text_of(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], check=True, capture_output=True, text=True,
                              timeout=LIMIT).stdout

    def ask(self, *words):
        return json.loads(self.text_of("--json", *words))

    def entries(self):
        return [(fields["id"], json.loads(fields["record"]))
                for fields in (dict(zip(each[1][::2], each[1][1::2])) for each in self.ask("XRANGE", STREAM, "-", "+"))]


class ToRedis(Cases, unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Redis(self.enterContext(tempfile.TemporaryDirectory())))

    def test_an_error_of_redis_is_told_once_and_loses_nothing(self):
        self.broker.start()
        self.broker.ask("SET", STREAM, "not a stream")
        with self.watch() as program:
            for _ in range(2):
                self.wait_for_another_try()
            self.broker.ask("DEL", STREAM)
            program.expect_said("takes records again")
            entries = self.all_entries(program)
            self.assertEqual(sum("WRONGTYPE" in line for line in program.stderr.seen), 1)
        self.check_complete(entries)

    def test_a_group_of_consumers_shares_what_two_watchers_send(self):
        self.broker.start()
        self.broker.ask("XGROUP", "CREATE", STREAM, "billing", "0", "MKSTREAM")
        sent = self.two_watchers()
        kept, left = [], []
        while (read := self.read("worker1")) and (others := self.read("worker2")):
            kept += read
            left += others
        kept += read
        self.assertEqual(len(set(kept + left)), sent)
        # What a worker that died has left is given to another.
        self.broker.ask("XACK", STREAM, "billing", *kept)
        claimed = self.broker.ask("XAUTOCLAIM", STREAM, "billing", "worker1", "0", "0", "COUNT", str(sent), "JUSTID")
        self.assertEqual(claimed[1], left)

    def read(self, worker):
        answer = self.broker.ask("XREADGROUP", "GROUP", "billing", worker, "COUNT", "100", "STREAMS", STREAM, ">")
        return [identity for identity, _ in answer[STREAM]] if answer else []

    def wait_for_another_try(self):
        counts = self.counts()
        while self.counts() == counts:
            pass

    def counts(self):
        """Of the XADDs that Redis has had."""
        return [line for line in self.broker.text_of("INFO", "commandstats").split("\n") if "cmdstat_xadd:" in line]

    def test_bad_input_is_one_line_and_status_2(self):
        for arguments in (["--to", "redis://host"], ["--to", "http://host/stream"], ["--to", "redis://host:0/stream"],
                          ["--to", "redis://user@host/stream"], ["--to", "redis://host/stream", "--json"],
                          ["--to", "nats://host"], ["--to", "nats://host:x/subject"], ["--to", "nats://host/all.>"],
                          ["--to", "nats://host/a..b"]):
            with self.subTest(arguments):
                status, _, said = run_events(*arguments)
                self.assertEqual((status, len(said)), (2, 1), said)
                self.assertIn("--to: ", said[0])


if __name__ == "__main__":
    unittest.main()
