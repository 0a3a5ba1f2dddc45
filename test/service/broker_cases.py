# SPDX-License-Identifier: LGPL-2.1-or-later
"""--to, with a real broker that is killed, hangs, or is not there: every record is accounted for.

A test derives from Cases and unittest.TestCase, and has a Broker in self.broker. The synthetic events are some two
thousand at once; they end with an rtc-change of SENTINEL seconds.
"""

import json
import os
import signal
import socket
import time

from program import LIMIT, TERMINATE, domain_kinds, events

URI = "test:///default"
SYNTHETIC = {"LD_PRELOAD": os.environ["VIRT_UV_SYNTHETIC_EVENTS"]}
SENTINEL = 424242


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """A server that keeps what it has acknowledged, even when it is killed. It has start(), address, and entries():
    (id, record) of each that it keeps."""

    def __init__(self, folder):
        self.folder, self.port, self.server = folder, free_port(), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.server:
            self.server.__exit__()
        self.server = None

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


def runs_with_sentinel(entries):
    return {identity.split("-")[0] for identity, record in entries if record.get("utcoffset") == SENTINEL}


def told(record):
    return {name: value for name, value in record.items() if name != "time"}


def numbers(entries):
    return [int(identity.split("-")[1]) for identity, _ in entries]


def missing_numbers(entries):
    return set(range(1, max(numbers(entries)) + 1)) - set(numbers(entries))


def expected_records():
    with events("-c", URI, "--json", *of_domains(), env=SYNTHETIC) as program:
        program.expect(f'"utcoffset":{SENTINEL}')
        records = [json.loads(line) for line in program.stdout.seen]
        program.end(TERMINATE)
    return [told(record) for record in records]


class Cases:
    maxDiff = None

    def watch(self, *arguments):
        return events("-c", URI, "--to", self.broker.address, *of_domains(), *arguments, env=SYNTHETIC)

    def all_entries(self, program):
        """A broker may have taken the last, and refused others before it, which come again."""
        entries = self.broker.wait_for(lambda entries: has_sentinel(entries) and not missing_numbers(entries))
        self.assertEqual(program.end(TERMINATE), 0, program.stderr.seen)
        return entries

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
        self.broker.start()
        with self.watch() as program:
            entries = self.all_entries(program)
        self.assertEqual(numbers(entries), list(range(1, len(entries) + 1)))
        self.check_complete(entries)

    def test_a_broker_that_is_killed_in_a_storm_and_comes_back_has_every_record(self):
        self.broker.start()
        with self.watch() as program:
            self.broker.wait_for(len)
            self.broker.kill()
            program.expect_said(self.broker.address, "trying again")
            self.broker.start()
            entries = self.all_entries(program)
        self.check_complete(entries)

    def test_a_broker_that_does_not_answer_counts_as_gone(self):
        self.broker.start()
        self.broker.server.signal(signal.SIGSTOP)
        with self.watch("--stats", "1") as program:  # a record each second does not put the end off
            program.expect_said(self.broker.address, "records wait; trying again")
            self.broker.server.signal(signal.SIGCONT)
            entries = self.broker.wait_for(has_sentinel)
            program.end(TERMINATE)
        self.assertEqual(missing_numbers(entries), set())

    def test_a_broker_that_stops_answering_gets_every_record_later(self):
        self.broker.start()
        with self.watch("--stats", "1") as program:
            self.broker.wait_for(has_sentinel)
            self.broker.server.signal(signal.SIGSTOP)
            program.expect_said(self.broker.address, "no answer")
            self.broker.server.signal(signal.SIGCONT)
            program.expect_said("takes records again")
            self.assertEqual(program.end(TERMINATE), 0)
            entries = self.broker.entries()
        self.assertEqual(missing_numbers(entries), set())

    def test_what_does_not_fit_while_the_broker_is_away_is_counted_in_a_record(self):
        with self.watch("--queue", "20000") as program:
            program.expect_said(self.broker.address, "records wait")
            self.broker.start()
            entries = self.broker.wait_for(lambda all_: any(record["event"] == "dropped" for _, record in all_))
            self.assertEqual(program.end(TERMINATE), 0)
        dropped = [record["count"] for _, record in entries if record["event"] == "dropped"]
        self.assertEqual(len(entries) - len(dropped) + sum(dropped), len(expected_records()))

    def test_the_end_without_a_broker_says_what_was_not_delivered_and_fails(self):
        with self.watch() as program:
            program.expect_said("kinds of events")  # the connection is open: that is a record
            self.assertEqual(program.end(TERMINATE), 1)
            self.assertIn(f"records were not delivered: {self.broker.name} has not acknowledged them",
                          "\n".join(program.stderr.seen))

    def two_watchers(self):
        """Runs them, and returns how many records they have sent."""
        with self.watch() as first, self.watch() as second:
            self.broker.wait_for(lambda entries: len(runs_with_sentinel(entries)) == 2)
            self.assertEqual([first.end(TERMINATE), second.end(TERMINATE)], [0, 0])
        entries = self.broker.entries()
        for run in runs_with_sentinel(entries):
            self.check_complete([entry for entry in entries if entry[0].startswith(run)])
        return len(entries)

    def test_the_end_comes_in_time_while_the_broker_hangs(self):
        self.broker.start()
        with self.watch() as program:
            self.broker.wait_for(len)
            self.broker.server.signal(signal.SIGSTOP)
            self.assertIn(program.end(TERMINATE), (0, 1))
            self.broker.server.signal(signal.SIGCONT)
