// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registration.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <uv.h>

#include "adapter.hpp"
#include "log.hpp"

namespace virt_uv {
namespace {

enum class Registered { kNobody, kUs, kAnother };

void never_called(int, void *) {}

// virEventRegisterImpl() answers nothing, and ignores a second call: so who is registered is found out by a call. One
// that comes through a wrapper of the host's, which passes the six on to us, is ours as well.
Registered who_is_registered() noexcept {
  char mark;
  const int id = virEventAddTimeout(-1, never_called, &mark, nullptr);
  if (id < 0) {
    virResetLastError();
    return Registered::kNobody;
  }
  const bool ours = Adapter::instance().has_timeout(id, never_called, &mark);
  virEventRemoveTimeout(id);
  return ours ? Registered::kUs : Registered::kAnother;
}

}  // namespace

int register_with_libvirt() noexcept {
  // virEventRegisterImpl() does not do this, and the calls below need it.
  if (virInitialize() < 0) {
    log::error("libvirt cannot be initialised");
    return UV_EIO;
  }
  // Asked first, as libvirt warns on stderr when there is somebody already.
  Registered who = who_is_registered();
  if (who == Registered::kNobody) {
    virEventRegisterImpl(virt_uv_add_handle, virt_uv_update_handle, virt_uv_remove_handle, virt_uv_add_timeout,
                         virt_uv_update_timeout, virt_uv_remove_timeout);
    who = who_is_registered();
  }
  if (who == Registered::kUs) return 0;
  log::error("another event loop is registered with libvirt: attach before anything else registers one");
  return UV_EBUSY;
}

}  // namespace virt_uv
