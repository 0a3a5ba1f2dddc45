-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- libvirt's domain events in luv's loop, from LuaJIT, with nothing but the foreign-function interface.
--
--     luajit events.lua [URI [COUNT]]      prints COUNT lifecycle events (by default all, for ever), and ends
--
-- The default URI is test:///default. Its domains exist in this process alone, so a luv timer causes the events.
--
-- luv has no function that returns its loop, but each of its handles knows it: a luv handle is a userdata that holds a
-- uv_handle_t *. Callbacks run inside uv.run(). LuaJIT does not compile this C function, as its rules for callbacks
-- demand.
local ffi = require('ffi')
local uv = require('luv')

ffi.cdef [[
  typedef struct uv_loop_s uv_loop_t;
  typedef struct uv_handle_s uv_handle_t;
  uv_loop_t *uv_handle_get_loop(const uv_handle_t *handle);
  const char *uv_strerror(int err);

  typedef void (*virt_uv_cb)(void *opaque);
  int virt_uv_attach(uv_loop_t *loop, const void *options);
  int virt_uv_drain(virt_uv_cb idle, void *opaque);
  int virt_uv_detach(virt_uv_cb done, void *opaque);

  typedef struct _virConnect *virConnectPtr;
  typedef struct _virDomain *virDomainPtr;
  typedef int (*lifecycle_cb)(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *opaque);
  virConnectPtr virConnectOpen(const char *uri);
  int virConnectClose(virConnectPtr conn);
  int virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr domain, int id, lifecycle_cb cb,
                                       void *opaque, void *freecb);
  int virConnectDomainEventDeregisterAny(virConnectPtr conn, int callback);
  const char *virDomainGetName(virDomainPtr domain);
  virDomainPtr virDomainLookupByName(virConnectPtr conn, const char *name);
  int virDomainSuspend(virDomainPtr domain);
  int virDomainResume(virDomainPtr domain);
  int virDomainFree(virDomainPtr domain);
  const char *virGetLastErrorMessage(void);
]]

-- The libuv that luv itself uses: for the name that luv was linked with, the linker returns the one already loaded.
local libuv = ffi.load('libuv.so.1')
local virt_uv = ffi.load(os.getenv('VIRT_UV_LIBRARY') or 'libvirt-uv.so.0')
local libvirt = ffi.load('libvirt.so.0')

local EVENTS = {
  [0] = 'defined', 'undefined', 'started', 'suspended', 'resumed', 'stopped', 'shutdown', 'pm suspended', 'crashed',
}
local LIFECYCLE = 0 -- VIR_DOMAIN_EVENT_ID_LIFECYCLE

local function loop_of_luv()
  local handle = uv.new_timer()
  local loop = libuv.uv_handle_get_loop(ffi.cast('uv_handle_t **', handle)[0])
  handle:close()
  return loop
end

-- While attached, end by os.exit(). When the Lua state is closed, luv treats every handle on its loop as one of its
-- own, and the library's handles are not.
local function fail(what, why)
  io.stderr:write('events.lua: ', what, ': ', ffi.string(why), '\n')
  os.exit(1)
end

local function uv_check(err, what)
  if err < 0 then fail(what, libuv.uv_strerror(err)) end
end

local function libvirt_check(ok, what)
  if not ok then fail(what, libvirt.virGetLastErrorMessage()) end
end

local OWN_DOMAIN = 'test:///default'
local uri, wanted = arg[1] or OWN_DOMAIN, tonumber(arg[2] or math.huge)
if not wanted then
  io.stderr:write('usage: luajit events.lua [URI [COUNT]]\n')
  os.exit(2)
end

uv_check(virt_uv.virt_uv_attach(loop_of_luv(), nil), 'virt_uv_attach')
local conn = libvirt.virConnectOpen(uri)
libvirt_check(conn ~= nil, 'virConnectOpen')

local seen, callback = 0, nil
local actor = uv.new_timer()

local function act_every_moment()
  local domain, paused = libvirt.virDomainLookupByName(conn, 'test'), false
  libvirt_check(domain ~= nil, 'virDomainLookupByName')
  ffi.gc(domain, libvirt.virDomainFree)
  actor:start(100, 100, function()
    local act = paused and libvirt.virDomainResume or libvirt.virDomainSuspend
    libvirt_check(act(domain) == 0, 'suspend or resume')
    paused = not paused
  end)
end

local function close()
  actor:close()
  libvirt.virConnectDomainEventDeregisterAny(conn, callback)
  libvirt.virConnectClose(conn)
end

local on_event = ffi.cast('lifecycle_cb', function(_, domain, event)
  seen = seen + 1
  print(ffi.string(libvirt.virDomainGetName(domain)) .. ' ' .. (EVENTS[event] or tostring(event)))
  if seen == wanted then close() end
  return 0
end)

callback = libvirt.virConnectDomainEventRegisterAny(conn, nil, LIFECYCLE, on_event, nil, nil)
libvirt_check(callback >= 0, 'virConnectDomainEventRegisterAny')

-- When everything is closed, detach; uv.run() then has nothing left to do, and returns.
local on_drained = ffi.cast('virt_uv_cb', function() uv_check(virt_uv.virt_uv_detach(nil, nil), 'virt_uv_detach') end)
uv_check(virt_uv.virt_uv_drain(on_drained, nil), 'virt_uv_drain')

if uri == OWN_DOMAIN then act_every_moment() end
uv.run()
