// SPDX-License-Identifier: LGPL-2.1-or-later
#include "libuv_check.hpp"

#include <dlfcn.h>

#include "log.hpp"

namespace virt_uv {
namespace {

struct Size {
  const char *type;
  std::size_t built_with;
  std::size_t found;
};

const char *file_of(void *address) noexcept {
  Dl_info info;
  return dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "(unknown)";
}

int not_supported(const char *reason) noexcept {
  log::error("cannot drive this libuv: {}. Built with libuv {}.{}.{}, found {} in {}", reason, UV_VERSION_MAJOR,
             UV_VERSION_MINOR, UV_VERSION_PATCH, uv_version_string(), file_of(reinterpret_cast<void *>(&uv_version)));
  return UV_ENOTSUP;
}

}  // namespace

int check_libuv(const uv_loop_t *loop) noexcept {
  if (uv_version() >> 16 != UV_VERSION_MAJOR) return not_supported("another major version");
  const Size sizes[] = {
      {"uv_loop_t", sizeof(uv_loop_t), uv_loop_size()},
      {"uv_check_t", sizeof(uv_check_t), uv_handle_size(UV_CHECK)},
      {"uv_idle_t", sizeof(uv_idle_t), uv_handle_size(UV_IDLE)},
      {"uv_poll_t", sizeof(uv_poll_t), uv_handle_size(UV_POLL)},
      {"uv_prepare_t", sizeof(uv_prepare_t), uv_handle_size(UV_PREPARE)},
      {"uv_timer_t", sizeof(uv_timer_t), uv_handle_size(UV_TIMER)},
  };
  for (const Size &size : sizes)
    if (size.built_with != size.found) return not_supported(size.type);

  // Every loop's thread-pool handle carries a function of the libuv that made the loop. A loop made here and now tells
  // ours.
  uv_loop_t ours;
  if (const int err = uv_loop_init(&ours)) {
    log::error("cannot attach: {}", uv_strerror(err));
    return err;
  }
  void *const expected = reinterpret_cast<void *>(ours.wq_async.async_cb);
  uv_loop_close(&ours);
  void *const found = reinterpret_cast<void *>(loop->wq_async.async_cb);
  if (found == expected) return 0;
  log::error("cannot drive this loop: it was made by the libuv in {}, but uv_* is libuv {} in {} (built with {}.{}.{})",
             file_of(found), uv_version_string(), file_of(expected), UV_VERSION_MAJOR, UV_VERSION_MINOR,
             UV_VERSION_PATCH);
  return UV_ENOTSUP;
}

}  // namespace virt_uv
