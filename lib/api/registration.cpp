// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/registration.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <uv.h>

namespace virt_uv::api {
namespace {

enum class Registered { kNone, kThisLibrary, kAnother };

void never_called(int, void *) {}

// virEventRegisterImpl() returns nothing, and ignores a second call: so what is registered is found out by a call. One
// that comes through a wrapper of the host's, which passes the six on to this library, counts as this library.
Registered what_is_registered(core::Timeouts &timeouts) noexcept {
  char mark;
  const int id = virEventAddTimeout(-1, never_called, &mark, nullptr);
  if (id < 0) {
    virResetLastError();
    return Registered::kNone;
  }
  const bool arrived = timeouts.has(id, never_called, &mark);
  virEventRemoveTimeout(id);
  return arrived ? Registered::kThisLibrary : Registered::kAnother;
}

}  // namespace

int register_with_libvirt(core::Log &log, core::Timeouts &timeouts) noexcept {
  // virEventRegisterImpl() does not do this, and the calls below need it.
  if (virInitialize() < 0) {
    log.error("libvirt cannot be initialised");
    return UV_EIO;
  }
  // Asked first, as libvirt warns on stderr when one is registered already.
  Registered registered = what_is_registered(timeouts);
  if (registered == Registered::kNone) {
    virEventRegisterImpl(virt_uv_add_handle, virt_uv_update_handle, virt_uv_remove_handle, virt_uv_add_timeout,
                         virt_uv_update_timeout, virt_uv_remove_timeout);
    registered = what_is_registered(timeouts);
  }
  if (registered == Registered::kThisLibrary) return 0;
  log.error("another event loop is registered with libvirt: attach before anything else registers one");
  return UV_EBUSY;
}

}  // namespace virt_uv::api
