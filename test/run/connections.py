#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many connections to one URI in one process, each with the lifecycle events of its domains.

    connections.py URI NUMBER

It carries out each line of stdin, and prints a line when that is done:

    calls       three calls of each connection, whose answers must be those of the first connection
    events N    waits until each connection has had N events in all
    close       closes all, and waits for nothing
"""

import resource
import sys
import threading

import libvirt

LIMIT = 60


class Connections:
    def __init__(self, uri, number):
        self._changed = threading.Condition()
        self._events = {}
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self._run, daemon=True).start()
        self._all = [self._open(uri, i) for i in range(number)]

    @staticmethod
    def _run():
        while True:
            libvirt.virEventRunDefaultImpl()

    def _open(self, uri, i):
        connection = libvirt.open(uri)
        self._events[i] = 0
        connection.registered = connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._count, i)
        return connection

    def _count(self, _connection, _domain, _event, _detail, i):
        with self._changed:
            self._events[i] += 1
            self._changed.notify()

    def calls(self):
        def answers(connection):
            domain = connection.lookupByName("test")
            names = sorted(domain.name() for domain in connection.listAllDomains())
            return connection.getURI(), names, domain.info()[0]
        all_answers = [answers(connection) for connection in self._all]
        return f"calls {len(all_answers)} {all_answers.count(all_answers[0])}"

    def events(self, number):
        with self._changed:
            have = self._changed.wait_for(lambda: min(self._events.values()) >= int(number), LIMIT)
        return f"events {have} {sum(self._events.values())}"

    def close(self):
        for connection in self._all:
            connection.domainEventDeregisterAny(connection.registered)
            connection.close()
        return "closed"


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    connections = Connections(sys.argv[1], int(sys.argv[2]))
    print("open", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        print(getattr(connections, command)(*words), flush=True)


main()
