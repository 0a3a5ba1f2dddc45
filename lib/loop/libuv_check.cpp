// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/libuv_check.hpp"

#include <dlfcn.h>

#include "loop/libuv_trial.hpp"

namespace virt_uv::loop {
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

int not_supported(core::Log &log, const char *reason) noexcept {
  log.error("cannot drive this libuv: {}. Built with libuv {}.{}.{}, found {} in {}", reason, UV_VERSION_MAJOR,
            UV_VERSION_MINOR, UV_VERSION_PATCH, uv_version_string(), file_of(reinterpret_cast<void *>(&uv_version)));
  return UV_ENOTSUP;
}

}  // namespace

int check_libuv(core::Log &log, const uv_loop_t *loop) noexcept {
  if (uv_version() >> 16 != UV_VERSION_MAJOR) return not_supported(log, "another major version");
  const Size sizes[] = {
      {"uv_loop_t", sizeof(uv_loop_t), uv_loop_size()},
      {"uv_check_t", sizeof(uv_check_t), uv_handle_size(UV_CHECK)},
      {"uv_idle_t", sizeof(uv_idle_t), uv_handle_size(UV_IDLE)},
      {"uv_poll_t", sizeof(uv_poll_t), uv_handle_size(UV_POLL)},
      {"uv_prepare_t", sizeof(uv_prepare_t), uv_handle_size(UV_PREPARE)},
      {"uv_timer_t", sizeof(uv_timer_t), uv_handle_size(UV_TIMER)},
  };
  for (const Size &size : sizes)
    if (size.built_with != size.found) return not_supported(log, size.type);

  const TrialResult trial = try_libuv();
  if (trial.error < 0) {
    log.error("cannot attach: {}", uv_strerror(trial.error));
    return trial.error;
  }
  if (trial.difference != nullptr) return not_supported(log, trial.difference);

  // Every loop's thread-pool handle carries a function of the libuv that made the loop.
  void *const found = reinterpret_cast<void *>(loop->wq_async.async_cb);
  if (found == trial.async_cb) return 0;
  log.error("cannot drive this loop: it was made by the libuv in {}, but uv_* is libuv {} in {} (built with {}.{}.{})",
            file_of(found), uv_version_string(), file_of(trial.async_cb), UV_VERSION_MAJOR, UV_VERSION_MINOR,
            UV_VERSION_PATCH);
  return UV_ENOTSUP;
}

}  // namespace virt_uv::loop
