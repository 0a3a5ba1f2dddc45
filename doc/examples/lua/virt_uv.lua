-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- libvirt's domain events in luv's loop, from LuaJIT or within Neovim, with nothing but the foreign-function interface.
--
-- luv has no function that returns its loop, but each of its handles knows it: a luv handle is a userdata that holds a
-- uv_handle_t *. Callbacks run inside uv.run(), which LuaJIT does not compile, as its rules for callbacks demand.
--
-- LuaJIT has room for few callbacks, and never frees one that C might call. So there is one for each type, and the
-- opaque is the number of the Lua function. An error must not leave a callback: it would unwind libvirt's frames.
local ffi = require('ffi')
local uv = vim and (vim.uv or vim.loop) or require('luv')

ffi.cdef [[
  typedef struct uv_loop_s uv_loop_t;
  typedef struct uv_handle_s uv_handle_t;
  uv_loop_t *uv_handle_get_loop(const uv_handle_t *handle);
  const char *uv_strerror(int err);

  typedef void (*virt_uv_cb)(void *opaque);
  int virt_uv_attach(uv_loop_t *loop, const void *options);
  int virt_uv_drain(virt_uv_cb idle, void *opaque);
  int virt_uv_detach(virt_uv_cb done, void *opaque);

  typedef int (*lifecycle_cb)(void *conn, void *domain, int event, int detail, void *opaque);
  const char *virDomainGetName(void *domain);
]]

-- The libuv that luv itself uses: for the name that luv was linked with, the linker returns the one already loaded.
local libuv = ffi.load('libuv.so.1')
local library = ffi.load(os.getenv('VIRT_UV_LIBRARY') or 'libvirt-uv.so.0')
local libvirt = ffi.load('libvirt.so.0')

local M = {}

-- Gets what a function of the caller's has died of.
function M.report(why) io.stderr:write(why, '\n') end

local kept, last = {}, 0

local function keep(fn)
  last = last + 1
  kept[last] = fn
  return ffi.cast('void *', last)
end

local function number_of(opaque) return tonumber(ffi.cast('intptr_t', opaque)) end

local function call(fn, ...)
  local ok, why = xpcall(fn, debug.traceback, ...)
  if not ok then M.report(why) end
end

local on_done = ffi.cast('virt_uv_cb', function(opaque)
  local number = number_of(opaque)
  local fn = kept[number]
  kept[number] = nil
  call(fn)
end)

local on_free = ffi.cast('virt_uv_cb', function(opaque) kept[number_of(opaque)] = nil end)

local on_lifecycle = ffi.cast('lifecycle_cb', function(_, domain, event, detail, opaque)
  call(kept[number_of(opaque)], ffi.string(libvirt.virDomainGetName(domain)), event, detail)
  return 0
end)

local function check(err, what)
  if err < 0 then error(what .. ': ' .. ffi.string(libuv.uv_strerror(err)), 3) end
end

-- luv's own, before 1.50, ends the process at a handle that is not luv's. luv has each of its handles in the registry.
local function walk(fn)
  local registry, found = debug.getregistry(), {}
  for _, value in pairs(registry) do
    local metatable = type(value) == 'userdata' and debug.getmetatable(value)
    if metatable and registry.uv_handle[metatable] then table.insert(found, value) end
  end
  for _, handle in ipairs(found) do fn(handle) end
end

-- Before the first connection is opened.
function M.attach()
  local handle = uv.new_timer()
  local loop = libuv.uv_handle_get_loop(ffi.cast('uv_handle_t **', handle)[0])
  handle:close()
  check(library.virt_uv_attach(loop, nil), 'virt_uv_attach')
  uv.walk = walk
end

local function later(name, fn)
  local opaque = keep(fn or function() end)
  local err = library[name](on_done, opaque)
  if err < 0 then kept[number_of(opaque)] = nil end
  check(err, name)
end

-- Gives the loop back; calls `done`, which may be nil, when that is done.
function M.detach(done) later('virt_uv_detach', done) end

-- Calls `idle` when libvirt has nothing registered any more.
function M.drain(idle) later('virt_uv_drain', idle) end

-- In the thread pool, in a Lua state of its own: a call that waits for the host would stop the loop. libvirt's error
-- belongs to the thread, so its message is fetched there.
local function open_and_register(uri, callback, opaque, free)
  local ffi = require('ffi')
  ffi.cdef [[
    void *virConnectOpenReadOnly(const char *uri);
    int virConnectDomainEventRegisterAny(void *conn, void *domain, int id, void *cb, void *opaque, void *freecb);
    int virConnectClose(void *conn);
    const char *virGetLastErrorMessage(void);
  ]]
  local libvirt = ffi.load('libvirt.so.0')
  local function pointer(number) return ffi.cast('void *', number) end
  local conn = libvirt.virConnectOpenReadOnly(uri)
  if conn == nil then return ffi.string(libvirt.virGetLastErrorMessage()) end
  local id = libvirt.virConnectDomainEventRegisterAny(conn, nil, 0, pointer(callback), pointer(opaque), pointer(free))
  if id >= 0 then return nil, tonumber(ffi.cast('intptr_t', conn)), id end
  local why = ffi.string(libvirt.virGetLastErrorMessage())
  libvirt.virConnectClose(conn)
  return why
end

local function deregister_and_close(conn, id)
  local ffi = require('ffi')
  ffi.cdef [[
    int virConnectDomainEventDeregisterAny(void *conn, int id);
    int virConnectClose(void *conn);
  ]]
  local libvirt = ffi.load('libvirt.so.0')
  libvirt.virConnectDomainEventDeregisterAny(ffi.cast('void *', conn), id)
  libvirt.virConnectClose(ffi.cast('void *', conn))
end

-- Calls on_event(name, event, detail) for the lifecycle events of a connection of its own. Calls on_open(nil, close)
-- when that is so, where close(closed) ends it and calls `closed`; or on_open(message).
function M.listen(uri, on_event, on_open)
  local opaque = keep(on_event)
  local function opened(why, conn, id)
    if why then
      kept[number_of(opaque)] = nil
      return call(on_open, why)
    end
    call(on_open, nil, function(closed)
      uv.new_work(deregister_and_close, function() call(closed) end):queue(conn, id)
    end)
  end
  uv.new_work(open_and_register, opened):queue(uri, number_of(on_lifecycle), number_of(opaque), number_of(on_free))
end

M.WORDS = {
  [0] = 'defined', 'undefined', 'started', 'suspended', 'resumed', 'stopped', 'shutdown', 'pmsuspended', 'crashed',
}

return M
