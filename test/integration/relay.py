# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wire between a client and libvirtd: a unix socket that passes bytes on, counts libvirt's keepalive messages, and
can fall silent as a host does that has died.

A message of libvirt's RPC is a length of four bytes, which counts itself, then the program's number; keepalive is a
program of its own, in which 1 is a ping and 2 a pong.
"""

import os
import select
import socket
import struct
import tempfile
import threading
from collections import Counter

KEEPALIVE = 0x6B656570
PING, PONG = 1, 2

# What is counted.
CLIENT_PING, SERVER_PING, SERVER_PONG = "the client's pings", "the server's pings", "the server's pongs"
UNANSWERED = "unanswered bytes"


class Relay:
    def __init__(self, server=None):
        """`server` None: takes connections and never answers."""
        self._server = server
        self._folder = tempfile.mkdtemp(prefix="virt-uv-relay-")
        self.socket = os.path.join(self._folder, "socket")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        self._listener.listen(2048)
        self._open = []
        self._changed = threading.Condition()
        self._silent = server is None
        self._counts = Counter()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for end in (self._listener, *self._open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was never connected, or its other end went first
        self._listener.close()
        os.unlink(self.socket)
        os.rmdir(self._folder)

    def let_everybody_in(self):
        """Other users too."""
        os.chmod(self._folder, 0o755)
        os.chmod(self.socket, 0o777)

    def fall_silent(self):
        self._silent = True

    def wait_for(self, what, number, limit):
        with self._changed:
            if not self._changed.wait_for(lambda: self._counts[what] >= number, limit):
                raise AssertionError(f"waited for {number} of {what}, and counted {dict(self._counts)}")

    def count(self, what):
        with self._changed:
            return self._counts[what]

    def _note(self, what, number=1):
        with self._changed:
            self._counts[what] += number
            self._changed.notify_all()

    def _accept(self):
        try:
            while True:
                client = self._listener.accept()[0]
                self._open.append(client)
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()
        except OSError:
            pass  # closed: the test is over

    def _pass_on(self, client):
        ends = {client: None}
        if self._server:
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open.append(server)
            ends = {client: server, server: client}
        messages = {end: b"" for end in ends}
        try:
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        raise OSError("closed")
                    messages[end] = self._count_messages(end is client, messages[end] + data)
                    if not self._silent:
                        ends[end].sendall(data)
                    elif end is client:
                        self._note(UNANSWERED, len(data))
        except OSError:
            for end in ends:
                end.close()

    def _count_messages(self, from_client, data):
        """Returns what is not a whole message yet."""
        while len(data) >= 16:
            length, program, _, procedure = struct.unpack(">IIII", data[:16])
            if len(data) < length:
                break
            if program == KEEPALIVE and from_client and procedure == PING:
                self._note(CLIENT_PING)
            if program == KEEPALIVE and not from_client:
                self._note(SERVER_PING if procedure == PING else SERVER_PONG)
            data = data[length:]
        return data
