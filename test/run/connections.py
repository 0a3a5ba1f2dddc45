#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many connections to one URI in one process, each with the lifecycle events of its domains or networks.

    connections.py URI NUMBER domain|network

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


# Of each kind: its lifecycle event; how one is looked up, and all; what can be asked of one.
OBJECTS = {
    "domain": (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, "lookupByName", "listAllDomains",
               lambda domain: domain.info()[0]),
    "network": (libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, "networkLookupByName", "listAllNetworks",
                lambda network: network.isActive()),
}


class Connections:
    def __init__(self, uri, number, kind):
        self._kind = kind
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
        lifecycle, *_ = OBJECTS[self._kind]
        register = getattr(connection, f"{self._kind}EventRegisterAny")
        connection.registered = register(None, lifecycle, self._count, i)
        return connection

    def _count(self, _connection, _object, _event, _detail, i):
        with self._changed:
            self._events[i] += 1
            self._changed.notify()

    def calls(self):
        _, lookup, list_all, ask = OBJECTS[self._kind]

        def answers(connection):
            names = sorted(each.name() for each in getattr(connection, list_all)())
            return connection.getURI(), names, ask(getattr(connection, lookup)("test"))
        all_answers = [answers(connection) for connection in self._all]
        return f"calls {len(all_answers)} {all_answers.count(all_answers[0])}"

    def events(self, number):
        with self._changed:
            have = self._changed.wait_for(lambda: min(self._events.values()) >= int(number), LIMIT)
        return f"events {have} {sum(self._events.values())}"

    def close(self):
        for connection in self._all:
            getattr(connection, f"{self._kind}EventDeregisterAny")(connection.registered)
            connection.close()
        return "closed"


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    connections = Connections(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    print("open", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        print(getattr(connections, command)(*words), flush=True)


main()
