#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lib/python in a real uvloop, with libvirt's own bindings."""

import re
import sys
import unittest

from host import SOURCE, HostTestCase

BEGIN = """
    import asyncio, libvirt, uvloop, virt_uv
    LIFECYCLE = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE

    def run(main, loop_factory=uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.get_loop().slow_callback_duration = float("inf")  # the machine may be slow, and dev mode says so
            runner.run(main)

    def listen(conn, heard):
        return conn.domainEventRegisterAny(None, LIFECYCLE, lambda _c, domain, event, *_: heard(event), None)
"""


class Uvloop(HostTestCase):
    interpreter = (sys.executable, "-X", "dev", "-c")
    environment = {"PYTHONPATH": str(SOURCE / "lib/python")}
    begin = BEGIN

    def test_events_come_in_order_and_the_end_is_clean(self):
        self.check("""
            async def main():
                heard = asyncio.Queue()
                async with virt_uv.attached():
                    conn = await asyncio.to_thread(libvirt.open, "test:///default")
                    number = listen(conn, heard.put_nowait)
                    domain = conn.lookupByName("test")
                    for _ in range(50):
                        domain.suspend()
                        domain.resume()
                    print([await heard.get() for _ in range(100)] == 50 * [3, 4])
                    conn.domainEventDeregisterAny(number)
                    conn.close()
                    del domain, conn
                    await virt_uv.drain()
            run(main())
        """, "True")

    def test_the_loop_s_own_timers_and_sockets_go_on_meanwhile(self):
        self.check("""
            async def main():
                async with virt_uv.attached():
                    conn = libvirt.open("test:///default")
                    listen(conn, lambda event: None)
                    server = await asyncio.start_server(lambda r, w: (w.write(b"hello"), w.close()), "127.0.0.1", 0)
                    ticks = [await asyncio.sleep(0.001, number) for number in range(20)]
                    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                    print(ticks == list(range(20)), await reader.read())
                    writer.close()
                    server.close()
                    conn.close()
            run(main())
        """, "True b'hello'")

    def test_a_program_may_end_while_it_is_attached(self):
        self.check("""
            async def main():
                virt_uv.attach()
                global conn
                conn = libvirt.open("test:///default")
                listen(conn, lambda event: None)
            run(main())
            print("closed")
        """, "closed")

    def test_another_loop_may_be_attached_after_the_first_was_closed(self):
        self.check("""
            async def one(first):
                virt_uv.attach()
                global conn, heard
                if first:
                    conn, heard = libvirt.open("test:///default"), []
                    listen(conn, heard.append)
                domain = conn.lookupByName("test")
                domain.suspend() if first else domain.resume()
                while len(heard) < (1 if first else 2):
                    await asyncio.sleep(0)
            run(one(True))
            run(one(False))
            print(heard)
        """, "[3, 4]")

    def test_an_exception_in_a_callback_is_printed_and_later_events_come(self):
        status, printed, said = self.run_program("""
            async def main():
                heard = asyncio.Queue()
                def fail_first(event):
                    heard.put_nowait(event)
                    if event == 3:
                        raise KeyError("in the callback")
                async with virt_uv.attached():
                    conn = libvirt.open("test:///default")
                    listen(conn, fail_first)
                    domain = conn.lookupByName("test")
                    domain.suspend()
                    domain.resume()
                    print(await heard.get(), await heard.get())
                    conn.close()
            run(main())
        """)
        self.assertEqual((status, printed), (0, ["3 4"]))
        self.assertIn("KeyError: 'in the callback'", said)

    def test_a_loop_that_is_not_uvloop_s_is_refused_with_a_sentence(self):
        self.check("""
            async def main():
                try:
                    virt_uv.attach()
                except TypeError as error:
                    print(error)
            run(main(), asyncio.SelectorEventLoop)
        """, "virt_uv needs a loop of uvloop's, and this is asyncio.unix_events._UnixSelectorEventLoop: run it by "
             "uvloop.run() or asyncio.Runner(loop_factory=uvloop.new_event_loop)")

    def test_libvirtaio_s_place_is_busy(self):
        status, printed, _ = self.run_program("""
            import libvirtaio
            async def main():
                libvirtaio.virEventRegisterAsyncIOImpl()
                try:
                    virt_uv.attach()
                except OSError as error:
                    print(error.errno, "libvirtaio" in error.strerror)
            run(main())
        """)
        self.assertEqual((status, printed), (0, ["16 True"]))

    def test_the_version_is_the_package_s(self):
        package = (SOURCE / "lib/python/pyproject.toml").read_text(encoding="utf-8")
        self.check("print(virt_uv.version())", re.search(r'^version = "(.*)"$', package, re.MULTILINE)[1])

    def test_what_needs_an_attachment_says_so_where_there_is_none(self):
        status, printed, said = self.run_program("""
            async def main():
                for call in virt_uv.detach, virt_uv.drain:
                    try:
                        await call()
                    except OSError as error:
                        print(error.errno)
            run(main())
        """)
        self.assertEqual((status, printed), (0, ["107", "107"]))
        self.assertTrue(said)  # the library says which, and what to do

    def test_the_example_prints_a_daemon_s_events_until_it_is_interrupted(self):
        self.check_example(sys.executable, SOURCE / "doc/examples/python/events.py")


if __name__ == "__main__":
    unittest.main()
