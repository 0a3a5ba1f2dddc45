#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd for a long time, by count: clients come, call, hear events, and are killed or close, in rounds. It answers
each, and what is left of them is no more under virt-uv-run than on the default loop.

Environment: as daemon.py; here VIRT_UV_STRESS is a factor for the rounds."""

import unittest

from daemon import DEFAULT, REPLACED, STRESS, Daemon, tell

ROUNDS, CLIENTS = max(4, int(STRESS)), 90
# libvirtd's own memory grows and shrinks by some hundred KiB. In the soak test this is 600 bytes for each client.
TOLERANCE = 1024  # KiB


def serve_rounds(daemon):
    """What was not answered right, the fds that are left, and the memory after each round."""
    daemon.wait_for_clients(0)
    fds, wrong, memory = daemon.fds(), set(), []
    for number in range(ROUNDS):
        with daemon.open(CLIENTS) as clients:
            clients.expect("open")
            daemon.virsh(*daemon.TWO_EVENTS)
            said = {tell(clients, "events 2"), tell(clients, "calls")}
            if number % 2:
                clients.process.kill()
            else:
                said.add(tell(clients, "close"))
            wrong |= said - {f"events True {2 * CLIENTS}", f"calls {CLIENTS} {CLIENTS}", "closed"}
        daemon.wait_for_clients(0)
        memory.append(daemon.memory())
    return wrong, daemon.fds() - fds, memory


class Libvirtd(unittest.TestCase):
    def test_answers_thousands_who_come_and_go_and_keeps_nothing_of_them(self):
        grown = []
        for launcher, loop in ((DEFAULT, "the default loop"), (REPLACED, "virt-uv-run")):
            with Daemon(launcher=launcher) as daemon:
                wrong, fds, memory = serve_rounds(daemon)
            half, end = memory[ROUNDS // 2 - 1], memory[-1]
            print(f"{ROUNDS} rounds of {CLIENTS} connections, {loop}: {half} KiB after half of them, {end} in the end, "
                  f"{fds} fds left", flush=True)
            self.assertEqual((wrong, fds), (set(), 0))
            grown.append(end - half)
        self.assertLess(grown[1] - grown[0], TOLERANCE)


if __name__ == "__main__":
    unittest.main()
