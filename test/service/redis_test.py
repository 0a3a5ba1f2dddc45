#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--to redis://…, with a real Redis that is killed, refuses, or is not there: every record is accounted for.

The synthetic events are some two thousand at once; they end with an rtc-change of SENTINEL seconds.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from program import LIMIT, TERMINATE, Program, domain_kinds, events, run_events

URI = "test:///default"
SYNTHETIC = {"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"]}
SENTINEL = 424242
STREAM = "events"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """Keeps what it has acknowledged, even when it is killed."""

    def __init__(self, folder):
        self.folder, self.port, self.server = folder, free_port(), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def address(self):
        return f"redis://127.0.0.1:{self.port}/{STREAM}"

    def start(self):
        self.server = Program("redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder,
                              "--appendonly", "yes", "--appendfsync", "always", "--save", "")
        self.server.expect("Ready to accept connections")

    def kill(self):
        if self.server:
            self.server.__exit__()
        self.server = None

    def text_of(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], check=True, capture_output=True, text=True,
                              timeout=LIMIT).stdout

    def ask(self, *words):
        return json.loads(self.text_of("--json", *words))

    def entries(self):
        """(id, record) of each."""
        return [(fields["id"], json.loads(fields["record"]))
                for fields in (dict(zip(each[1][::2], each[1][1::2])) for each in self.ask("XRANGE", STREAM, "-", "+"))]

    def wait_for(self, holds):
        deadline = time.monotonic() + LIMIT
        while not holds(entries := self.entries()):
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not come: {len(entries)} entries, the last is {entries[-1:]}")
        return entries


def of_domains():
    """Their events alone: those of the other families come in no order."""
    return ["-e", ",".join(domain_kinds())]


def has_sentinel(entries):
    return any(record.get("utcoffset") == SENTINEL for _, record in entries)


def told(record):
    return {name: value for name, value in record.items() if name != "time"}


def expected_records():
    with events("-c", URI, "--json", *of_domains(), env=SYNTHETIC) as program:
        program.expect(f'"utcoffset":{SENTINEL}')
        records = [json.loads(line) for line in program.stdout.seen]
        program.end(TERMINATE)
    return [told(record) for record in records]


class ToRedis(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.redis = self.enterContext(Redis(self.enterContext(tempfile.TemporaryDirectory())))

    def watch(self, *arguments):
        return events("-c", URI, "--to", self.redis.address, *of_domains(), *arguments, env=SYNTHETIC)

    def check_complete(self, entries):
        """Nothing is lost, and what came twice has one id."""
        by_number = {}
        for identity, record in entries:
            run, number = identity.split("-")
            self.assertEqual(run, entries[0][0].split("-")[0])
            self.assertEqual(by_number.setdefault(int(number), record), record)
        self.assertEqual(sorted(by_number), list(range(1, len(by_number) + 1)))
        self.assertEqual([told(by_number[number]) for number in sorted(by_number)], expected_records())

    def test_records_come_in_order_as_json_has_them(self):
        self.redis.start()
        with self.watch() as program:
            entries = self.redis.wait_for(has_sentinel)
            self.assertEqual(program.end(TERMINATE), 0)
        numbers = [int(identity.split("-")[1]) for identity, _ in entries]
        self.assertEqual(numbers, list(range(1, len(entries) + 1)))
        self.check_complete(entries)

    def test_a_redis_that_is_killed_in_a_storm_and_comes_back_has_every_record(self):
        self.redis.start()
        with self.watch() as program:
            self.redis.wait_for(len)
            self.redis.kill()
            program.expect_said(self.redis.address, "trying again")
            self.redis.start()
            entries = self.redis.wait_for(has_sentinel)
            self.assertEqual(program.end(TERMINATE), 0)
        self.check_complete(entries)

    def test_a_redis_that_does_not_answer_counts_as_gone(self):
        self.redis.start()
        self.redis.server.signal(signal.SIGSTOP)
        with self.watch("--stats", "1") as program:  # a record each second does not put the end off
            program.expect_said(self.redis.address, "no answer")
            self.redis.server.signal(signal.SIGCONT)
            entries = self.redis.wait_for(has_sentinel)
            program.end(TERMINATE)
        numbers = {int(identity.split("-")[1]) for identity, _ in entries}
        self.assertEqual(numbers, set(range(1, len(numbers) + 1)))

    def test_what_does_not_fit_while_redis_is_away_is_counted_in_a_record(self):
        with self.watch("--queue", "20000") as program:
            program.expect_said(self.redis.address, "records wait")
            self.redis.start()
            entries = self.redis.wait_for(lambda all_: any(record["event"] == "dropped" for _, record in all_))
            self.assertEqual(program.end(TERMINATE), 0)
        dropped = [record["count"] for _, record in entries if record["event"] == "dropped"]
        self.assertEqual(len(entries) - len(dropped) + sum(dropped), len(expected_records()))

    def test_an_error_of_redis_is_told_once_and_loses_nothing(self):
        self.redis.start()
        self.redis.ask("SET", STREAM, "not a stream")
        with self.watch() as program:
            for _ in range(2):
                self.wait_for_another_try()
            self.redis.ask("DEL", STREAM)
            entries = self.redis.wait_for(has_sentinel)
            program.expect_said("takes records again")
            self.assertEqual(program.end(TERMINATE), 0)
            self.assertEqual(sum("WRONGTYPE" in line for line in program.stderr.seen), 1)
        self.check_complete(entries)

    def wait_for_another_try(self):
        counts = self.counts()
        while self.counts() == counts:
            pass

    def counts(self):
        """Of the XADDs that Redis has had."""
        return [line for line in self.redis.text_of("INFO", "commandstats").split("\n") if "cmdstat_xadd:" in line]

    def test_the_end_without_redis_says_what_was_not_delivered_and_fails(self):
        with self.watch() as program:
            program.expect_said("records wait")
            self.assertEqual(program.end(TERMINATE), 1)
            self.assertIn("records were not delivered: Redis has not acknowledged them", "\n".join(program.stderr.seen))

    def test_bad_input_is_one_line_and_status_2(self):
        for arguments in (["--to", "redis://host"], ["--to", "http://host/stream"], ["--to", "redis://host:0/stream"],
                          ["--to", "redis://user@host/stream"], ["--to", "redis://host/stream", "--json"]):
            with self.subTest(arguments):
                status, _, said = run_events(*arguments)
                self.assertEqual((status, len(said)), (2, 1), said)
                self.assertIn("--to: ", said[0])


if __name__ == "__main__":
    unittest.main()
