#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""doc/examples/ruby in a real Ruby, beside ruby-libvirt."""

import unittest

from host import SOURCE, HostTestCase

FOLDER = SOURCE / "doc/examples/ruby"
# GC.stress: the collector runs at each allocation, so that what nobody holds does not live by chance.
BEGIN = """
    require 'libvirt'
    require 'virt_uv'
    $stdout.sync = true

    def listen(&block) = VirtUV::LifecycleEvents.new('test:///default', &block)
    def test_domain = ($conn ||= Libvirt.open('test:///default')).lookup_domain_by_name('test')
    def stressed
      GC.stress = true
      yield
    ensure
      GC.stress = false
    end
    def end_in_order
      $conn.close
      VirtUV.drain { VirtUV.detach { puts 'ended' } }
      VirtUV.run
    end
"""


class Ruby(HostTestCase):
    interpreter = ("ruby", "-w", "-I", FOLDER, "-e")
    begin = BEGIN

    def test_events_come_in_order_and_the_end_is_clean(self):
        self.check("""
            VirtUV.attach
            heard = []
            events = listen { |_, event| VirtUV.stop if heard.push(event).size == 100 }
            domain = test_domain
            50.times { domain.suspend; domain.resume }
            VirtUV.run
            puts heard == [3, 4] * 50
            domain.free
            events.close
            end_in_order
        """, "true", "ended")

    def test_what_c_may_call_outlives_the_garbage_collector(self):
        self.check("""
            VirtUV.attach
            heard = []
            events = stressed { listen { |_, event| VirtUV.stop if heard.push(event).size == 4 } }
            domain = test_domain
            2.times { domain.suspend; domain.resume }
            stressed { VirtUV.run }
            puts heard.join(' ')
            domain.free
            events.close
            stressed { VirtUV.drain { puts 'idle' } }
            end_in_order
        """, "3 4 3 4", "idle", "ended")

    def test_ruby_s_threads_timers_and_sockets_go_on_meanwhile(self):
        self.check("""
            require 'socket'
            VirtUV.attach
            events = listen { |*| VirtUV.stop }
            domain = test_domain
            near, far = UNIXSocket.pair
            thread = Thread.new do
              ticks = (0...20).map { |number| sleep(0.001); number }
              puts ticks == (0...20).to_a
              far.puts 'hello'
              puts near.gets
              domain.suspend
            end
            VirtUV.run
            thread.join
            domain.free
            events.close
            end_in_order
        """, "true", "hello", "ended")

    def test_a_program_may_end_while_it_is_attached(self):
        self.check("""
            VirtUV.attach
            heard = []
            listen { |_, event| heard.push(event); VirtUV.stop }
            test_domain.suspend
            VirtUV.run
            puts heard.join(' ')
        """, "3")

    def test_a_program_may_end_in_a_callback(self):
        self.check("""
            VirtUV.attach
            listen { |*| exit }
            test_domain.suspend
            VirtUV.run
            puts 'not here'
        """)

    def test_an_exception_in_a_callback_comes_out_of_run_and_later_events_come(self):
        self.check("""
            VirtUV.attach
            heard = []
            events = listen do |_, event|
              heard.push(event)
              VirtUV.stop if heard.size == 3
              raise KeyError, "at #{event}" if heard.size <= 2
            end
            domain = test_domain
            [:suspend, :resume, :suspend].each do |act|
              domain.public_send(act)
              VirtUV.run
            rescue KeyError => error
              puts error.message
            end
            puts heard.join(' ')
            domain.free
            events.close
            end_in_order
        """, "at 3", "at 4", "3 4 3", "ended")

    def test_an_exception_in_drain_s_and_detach_s_block_comes_out_of_run(self):
        self.check("""
            VirtUV.attach
            [:drain, :detach].each do |call|
              VirtUV.public_send(call) { raise call.to_s }
              VirtUV.run
            rescue RuntimeError => error
              puts error.message
            end
            VirtUV.attach
            VirtUV.detach { puts 'again' }
            VirtUV.run
        """, "drain", "detach", "again")

    def test_a_loop_that_is_closed_while_it_is_attached_is_busy_and_goes_on(self):
        self.check("""
            module VirtUV::C
              attach_function :uv_loop_close, [:pointer], :int
            end
            VirtUV.attach
            heard = []
            listen { |_, event| heard.push(event); VirtUV.stop }
            puts VirtUV::C.uv_loop_close(VirtUV::C.uv_default_loop) == -Errno::EBUSY::Errno
            test_domain.suspend
            VirtUV.run
            puts heard.join(' ')
        """, "true", "3")

    def test_what_needs_an_attachment_raises_enotconn_where_there_is_none(self):
        status, printed, _ = self.run_program("""
            [:detach, :drain].each do |call|
              VirtUV.public_send(call) { }
            rescue Errno::ENOTCONN => error
              puts error.message
            end
        """)
        self.assertEqual((status, [line.split(" - ")[-1] for line in printed]),
                         (0, ["virt_uv_detach", "virt_uv_drain"]))

    def test_a_connection_that_cannot_be_opened_raises_libvirt_s_words(self):
        status, printed, _ = self.run_program("""
            VirtUV.attach
            VirtUV::LifecycleEvents.new('test:///missing') { } rescue puts($!.message)
        """)
        self.assertEqual((status, [line.split(":")[:2] for line in printed]), (0, [["test", "///missing"]]))
        self.assertIn("missing", printed[0].split(": ", 1)[1])

    def test_the_example_prints_a_daemon_s_events_until_it_is_interrupted(self):
        self.check_example("ruby", "-w", FOLDER / "events.rb")


if __name__ == "__main__":
    unittest.main()
