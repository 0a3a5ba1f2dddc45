#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--to nats://…, with a real nats-server and its JetStream.

Debian has no client for it in Python: here is as much of the protocol (docs.nats.io, "Client Protocol") as it takes to
make a stream and to read it.
"""

import base64
import json
import re
import socket
import tempfile
import unittest

from broker_cases import Broker, Cases, numbers
from program import LIMIT, Program

SUBJECT = "libvirt.events"
STREAM = "EVENTS"


class Client:
    """Asks one question at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.file = self.socket.makefile("rb")
        self.file.readline()  # INFO
        self.inbox = b"answer.%d" % id(self)
        self.socket.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
                            b"SUB %s 1\r\n" % self.inbox)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def ask(self, subject, **question):
        return json.loads(self.ask_for_message(subject, **question)[1])

    def ask_for_message(self, subject, **question):
        """The words of the line before the answer, and the answer."""
        text = json.dumps(question).encode() if question else b""
        self.socket.sendall(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), self.inbox, len(text), text))
        while True:
            words = self.file.readline().split()
            if not words:
                raise ConnectionError("the server has gone")
            if words[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif words[0] in (b"MSG", b"HMSG"):
                return words, self.file.read(int(words[-1]) + 2)


class Nats(Broker):
    name = "NATS"
    has_stream = True

    @property
    def address(self):
        return f"nats://127.0.0.1:{self.port}/{SUBJECT}"

    def start(self):
        self.server = Program("nats-server", "--addr", "127.0.0.1", "--port", self.port, "--jetstream", "--store_dir",
                              self.folder)
        self.server.expect_said("Server is ready")
        if self.has_stream:
            self.make_stream()

    def make_stream(self):
        """It stays as it is where it is there."""
        with Client(self.port) as client:
            answer = client.ask(f"$JS.API.STREAM.CREATE.{STREAM}", name=STREAM, subjects=[SUBJECT], storage="file",
                                retention="limits", num_replicas=1)
        if "error" in answer:
            raise AssertionError(answer)

    def entries(self):
        with Client(self.port) as client:
            state = client.ask(f"$JS.API.STREAM.INFO.{STREAM}")["state"]
            messages = [client.ask(f"$JS.API.STREAM.MSG.GET.{STREAM}", seq=number)["message"]
                        for number in range(state["first_seq"], state["last_seq"] + 1) if state["messages"]]
        headers = [base64.b64decode(message["hdrs"]).decode() for message in messages]
        return [(re.search(r"Nats-Msg-Id: *(\S+)", header)[1], json.loads(base64.b64decode(message["data"])))
                for header, message in zip(headers, messages)]


class ToNats(Cases, unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Nats(self.enterContext(tempfile.TemporaryDirectory())))

    def check_complete(self, entries):
        """JetStream drops what comes twice, by its id."""
        super().check_complete(entries)
        self.assertEqual(len(set(numbers(entries))), len(entries))

    def test_a_subject_without_a_stream_is_told_once_and_loses_nothing(self):
        self.broker.has_stream = False
        self.broker.start()
        with self.watch() as program:
            program.expect_said(f"no stream has the subject {SUBJECT}: make one")
            self.broker.make_stream()
            program.expect_said("takes records again")
            entries = self.all_entries(program)
            self.assertEqual(sum("no stream has" in line for line in program.stderr.seen), 1)
        self.check_complete(entries)

    def test_a_consumer_with_two_workers_gets_what_two_watchers_send(self):
        self.broker.start()
        sent = self.two_watchers()
        with Client(self.broker.port) as first, Client(self.broker.port) as second:
            first.ask(f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.billing", stream_name=STREAM,
                      config={"durable_name": "billing", "ack_policy": "explicit", "deliver_policy": "all"})
            seen = set()
            for number in range(sent):
                worker = (first, second)[number % 2]
                words, message = worker.ask_for_message(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.billing", batch=1)
                # HMSG SUBJECT SID REPLY BYTES BYTES: the reply is the acknowledgement's subject.
                worker.socket.sendall(b"PUB %s 4\r\n+ACK\r\n" % words[3])
                seen.add(re.search(rb"Nats-Msg-Id: *(\S+)", message)[1])
            self.assertEqual(len(seen), sent)

    def test_a_refusal_of_jetstream_is_told_in_its_words(self):
        self.broker.has_stream = False
        self.broker.start()
        with Client(self.broker.port) as client:
            client.ask(f"$JS.API.STREAM.CREATE.{STREAM}", name=STREAM, subjects=[SUBJECT], storage="file", max_msgs=1,
                       discard="new", retention="limits", num_replicas=1)
        with self.watch() as program:
            program.expect_said(self.broker.address, "maximum messages exceeded")
            with Client(self.broker.port) as client:
                client.ask(f"$JS.API.STREAM.UPDATE.{STREAM}", name=STREAM, subjects=[SUBJECT], storage="file",
                           max_msgs=-1, discard="new", retention="limits", num_replicas=1)
            entries = self.all_entries(program)
        self.check_complete(entries)


if __name__ == "__main__":
    unittest.main()
