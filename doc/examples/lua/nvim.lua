-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- :LibvirtEvents URI shows the events of a connection's domains in Neovim; :LibvirtEventsStop ends that.
--
--     nvim -S nvim.lua
--
-- libvirt's callbacks run wherever Neovim waits for input: in the middle of a mapping, of a prompt, of a redraw. Neovim
-- does not know of them, and so does not refuse a call of its API there, as it does in luv's own callbacks: what the
-- call changes may be what the waiting code works on. vim.schedule runs a function where Neovim is ready for it.
package.path = debug.getinfo(1, 'S').source:match('^@(.*/)') .. '?.lua;' .. package.path
local virt_uv = require('virt_uv')

local function show(text, level)
  vim.schedule(function() vim.notify(text, level) end)
end

function virt_uv.report(why) show(why, vim.log.levels.ERROR) end

local close

vim.api.nvim_create_user_command('LibvirtEvents', function(command)
  virt_uv.attach()
  virt_uv.listen(command.args, function(name, event) show(name .. ': ' .. virt_uv.WORDS[event]) end, function(why, fn)
    if why then return show(why, vim.log.levels.ERROR) end
    close = fn
    show('watching')
  end)
end, { nargs = 1 })

vim.api.nvim_create_user_command('LibvirtEventsStop', function()
  close(function()
    virt_uv.drain(function()
      virt_uv.detach(function() show('stopped') end)
    end)
  end)
end, {})
