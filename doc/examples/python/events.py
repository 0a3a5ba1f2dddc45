#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Follows the domains of a connection until it is interrupted, and ends in order.

    events.py URI
"""

import asyncio
import signal
import sys

import libvirt
import uvloop

import virt_uv

WORDS = ["defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "pmsuspended", "crashed"]


def on_lifecycle(_conn, domain, event, _detail, _opaque):
    print(f"{domain.name()}: {WORDS[event]}", flush=True)


async def main(uri):
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    async with virt_uv.attached():
        # In another thread: it waits for the host.
        conn = await asyncio.to_thread(libvirt.openReadOnly, uri)
        number = conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle, None)
        print("watching", flush=True)
        await interrupted.wait()
        await asyncio.to_thread(conn.domainEventDeregisterAny, number)
        await asyncio.to_thread(conn.close)
        del conn  # it keeps the connection open
        await virt_uv.drain()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
