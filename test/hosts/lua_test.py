#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""doc/examples/lua in a real LuaJIT with luv, and in a real Neovim."""

import pathlib
import tempfile
import unittest

from host import SOURCE, HostTestCase
from libvirtd import Libvirtd
from program import Program, run

FOLDER = SOURCE / "doc/examples/lua"
BEGIN = f"""
    package.path = '{FOLDER}/?.lua;' .. package.path
""" + """
    local ffi = require('ffi')
    local virt_uv = require('virt_uv')
    local uv = vim and vim.loop or require('luv')
    ffi.cdef [[
      void *virConnectOpen(const char *uri);
      void *virDomainLookupByName(void *conn, const char *name);
      int virDomainSuspend(void *domain);
      int virDomainResume(void *domain);
      int virDomainFree(void *domain);
      int virConnectClose(void *conn);
    ]]
    local libvirt = ffi.load('libvirt.so.0')

    local function say(...) io.stdout:write(table.concat({...}, ' '), '\\n') io.stdout:flush() end

    virt_uv.report = function(why) say('reported: ' .. why:match('[^\\n]*at (%a+)')) end

    local function act(...)
      local conn = libvirt.virConnectOpen('test:///default')
      local domain = libvirt.virDomainLookupByName(conn, 'test')
      for _, name in ipairs({...}) do libvirt['virDomain' .. name](domain) end
      libvirt.virDomainFree(domain)
      libvirt.virConnectClose(conn)
    end

    local close
    local function listen(on_event, opened)
      virt_uv.listen('test:///default', on_event, function(why, fn)
        assert(not why, why)
        close = fn
        opened()
      end)
    end

    local function quit()
      if vim then vim.schedule(function() vim.cmd('qa!') end) end
    end

    local function end_in_order()
      close(function()
        virt_uv.drain(function()
          virt_uv.detach(function() say('ended') quit() end)
        end)
      end)
    end
"""
EVENTS_IN_ORDER = """
    virt_uv.attach()
    local heard = {}
    listen(function(_, event)
      table.insert(heard, event)
      if #heard < 100 then return end
      say(table.concat(heard, ' ') == ('3 4 '):rep(50):sub(1, -2) and 'in order' or table.concat(heard, ' '))
      end_in_order()
    end, function()
      for _ = 1, 50 do act('Suspend', 'Resume') end
    end)
"""
TIMERS = """
    virt_uv.attach()
    local ticks, timer = {}, uv.new_timer()
    listen(function() say('event') end_in_order() end, function()
      timer:start(1, 1, function()
        table.insert(ticks, #ticks)
        if #ticks < 20 then return end
        timer:close()
        say(table.concat(ticks, ' '))
        act('Suspend')
      end)
    end)
"""
TWENTY = " ".join(map(str, range(20)))
ERRORS = """
    virt_uv.attach()
    local heard = 0
    listen(function(_, event)
      heard = heard + 1
      if heard == 2 then
        close(function()
          virt_uv.drain(function()
            virt_uv.detach(function()
              say('ended')
              quit()
              error('at detach')
            end)
            error('at drain')
          end)
          error('at close')
        end)
      end
      error('at event')
    end, function()
      act('Suspend', 'Resume')
      error('at open')
    end)
"""
REPORTED = ["reported: open", "reported: event", "reported: event", "reported: close", "reported: drain", "ended",
            "reported: detach"]


class Luv(HostTestCase):
    interpreter = ("luajit", "-e")
    begin = BEGIN

    def test_events_come_in_order_and_the_end_is_clean(self):
        self.check(EVENTS_IN_ORDER + "uv.run()", "in order", "ended")

    def test_luv_s_own_timers_go_on_meanwhile(self):
        self.check(TIMERS + "uv.run()", TWENTY, "event", "ended")

    def test_what_callbacks_die_of_is_reported_and_what_comes_after_goes_on(self):
        self.check(ERRORS + "uv.run()", *REPORTED)

    def test_a_state_may_be_closed_while_it_is_attached(self):
        self.check("""
            virt_uv.attach()
            listen(function(_, event)
              say(event)
              uv.stop()
              act('Resume')
            end, function() act('Suspend') end)
            uv.run()
        """, "3")

    def test_a_program_may_exit_in_a_callback(self):
        self.check("""
            virt_uv.attach()
            listen(function(_, event) say(event) os.exit(0) end, function() act('Suspend') end)
            uv.run()
        """, "3")

    def test_walk_finds_luv_s_handles_only_and_closes_them(self):
        self.check("""
            virt_uv.attach()
            local first, second = uv.new_timer(), uv.new_async(function() end)
            first:start(3600000, 0, function() end)
            listen(function() end, function()
              local found = {}
              uv.walk(function(handle) found[tostring(handle)] = true handle:close() end)
              say(tostring(found[tostring(first)]), tostring(found[tostring(second)]))
              end_in_order()
            end)
            uv.run()
        """, "true true", "ended")

    def test_another_attach_comes_after_a_detach(self):
        self.check("""
            for round = 1, 3 do
              virt_uv.attach()
              virt_uv.detach(function() say(round) end)
              uv.run()
            end
        """, "1", "2", "3")

    def test_what_needs_an_attachment_dies_where_there_is_none(self):
        status, printed, _ = self.run_program("""
            for _, name in ipairs({'detach', 'drain'}) do
              local ok, why = pcall(virt_uv[name], function() end)
              say(tostring(ok), why:match('virt_uv_.*'))
            end
        """)
        self.assertEqual((status, printed), (0, ["false virt_uv_detach: socket is not connected",
                                                 "false virt_uv_drain: socket is not connected"]))

    def test_a_connection_that_cannot_be_opened_has_libvirt_s_words(self):
        status, printed, _ = self.run_program("""
            virt_uv.attach()
            virt_uv.listen('test:///missing', function() end, function(why)
              say(why)
              virt_uv.detach()
            end)
            uv.run()
        """)
        self.assertEqual((status, len(printed)), (0, 1))
        self.assertIn("missing", printed[0])

    def test_the_example_prints_a_daemon_s_events_until_it_is_interrupted(self):
        self.check_example("luajit", FOLDER / "events.lua")

    def test_the_example_says_why_a_connection_cannot_be_opened(self):
        status, _, said = run("luajit", FOLDER / "events.lua", "no-such-driver:///")
        self.assertEqual((status, sum(line.startswith("events.lua: ") for line in said)), (1, 1))


class Neovim(HostTestCase):
    interpreter = ("nvim", "--headless", "-u", "NONE", "-n", "-c")
    begin = BEGIN

    def command(self, program):
        *interpreter, text = super().command(program)
        text = " ".join(text.split("\n"))
        return [*interpreter, f"lua local ok, why = pcall(function() {text} end) "
                              "if not ok then io.stderr:write(why, '\\n') vim.cmd('cquit') end"]

    def test_events_come_in_order_and_the_end_is_clean(self):
        self.check(EVENTS_IN_ORDER, "in order", "ended")

    def test_neovim_s_own_timers_go_on_meanwhile(self):
        self.check(TIMERS, TWENTY, "event", "ended")

    def test_what_callbacks_die_of_is_reported_and_what_comes_after_goes_on(self):
        self.check(ERRORS, *REPORTED)

    def test_neovim_does_not_know_of_a_callback_and_schedule_leads_out_of_it(self):
        self.check("""
            virt_uv.attach()
            listen(function(name)
              say(tostring(vim.in_fast_event()))
              vim.schedule(function()
                vim.api.nvim_buf_set_lines(0, 0, -1, true, {name})
                say(vim.api.nvim_buf_get_lines(0, 0, -1, true)[1])
                end_in_order()
              end)
            end, function() act('Suspend') end)
        """, "false", "test", "ended")

    def test_neovim_may_quit_while_it_is_attached(self):
        self.check("""
            virt_uv.attach()
            listen(function(_, event) say(event) quit() end, function()
              act('Suspend', 'Resume')
            end)
        """, "3", "4")

    def test_the_example_shows_a_daemon_s_events_until_it_is_stopped(self):
        with Libvirtd() as libvirtd, tempfile.TemporaryDirectory() as folder:
            address = pathlib.Path(folder) / "nvim"
            notify = "lua vim.notify = function(text) io.stdout:write(text, '\\n') io.stdout:flush() end"
            with Program("nvim", "--headless", "-u", "NONE", "-n", "--listen", address, "--cmd", notify,
                         "-S", FOLDER / "nvim.lua", "-c", f"LibvirtEvents {libvirtd.uri}") as program:
                program.expect("watching")
                for _ in range(10):
                    libvirtd.virsh("suspend test", "resume test")
                    program.expect("test: suspended")
                    program.expect("test: resumed")
                run("nvim", "--server", address, "--remote-send", ":LibvirtEventsStop<CR>")
                program.expect("stopped")
                run("nvim", "--server", address, "--remote-send", ":qa!<CR>")
                self.assertEqual(program.end(), 0)


if __name__ == "__main__":
    unittest.main()
