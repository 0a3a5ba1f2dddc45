-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- Prints the events of a connection's domains until it is interrupted, and ends in order.
--
--     luajit events.lua URI
package.path = debug.getinfo(1, 'S').source:match('^@(.*/)') .. '?.lua;' .. package.path
local uv = require('luv')
local virt_uv = require('virt_uv')

io.stdout:setvbuf('line')
-- It is watched and nothing is done: a connection whose peer has gone would end the program.
local pipe = uv.new_signal()
pipe:start('sigpipe', function() end)
pipe:unref()

virt_uv.attach()
local status = 0

-- When everything is closed, detach; uv.run() then has nothing left to do, and returns.
local function end_in_order()
  virt_uv.drain(function() virt_uv.detach() end)
end

local function on_event(name, event) print(name .. ': ' .. virt_uv.WORDS[event]) end

virt_uv.listen(arg[1], on_event, function(why, close)
  if why then
    io.stderr:write('events.lua: ', why, '\n')
    status = 1
    return end_in_order()
  end
  print('watching')
  local interrupt = uv.new_signal()
  interrupt:start('sigint', function()
    interrupt:close()
    close(end_in_order)
  end)
end)

uv.run()
os.exit(status)
