// SPDX-License-Identifier: LGPL-2.1-or-later
#include "log.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lock.hpp"

namespace virt_uv::log {
namespace {

constexpr int kSilent = 0;
constexpr const char *kNames[] = {"", "error", "warn", "info", "debug"};

int level_from_environment() noexcept {
  const char *wanted = std::getenv("VIRT_UV_LOG");
  if (wanted == nullptr) return kSilent;
  for (int level = VIRT_UV_LOG_ERROR; level <= VIRT_UV_LOG_DEBUG; ++level)
    if (std::strcmp(wanted, kNames[level]) == 0) return level;
  if (*wanted != '\0')
    std::fprintf(stderr, "virt-uv: VIRT_UV_LOG=%s is not a level: use error, warn, info or debug\n", wanted);
  return kSilent;
}

int environment_level() noexcept {
  static const int level = level_from_environment();
  return level;
}

struct Host {
  virt_uv_log_cb log = nullptr;
  void *opaque = nullptr;
};

Mutex host_mutex;
Host host;                          // guarded by host_mutex
std::atomic<bool> has_host{false};  // so that a line which nobody wants costs no lock

Host current_host() noexcept {
  Lock lock(host_mutex);
  return host;
}

}  // namespace

void set_host(virt_uv_log_cb log, void *opaque) noexcept {
  Lock lock(host_mutex);
  host = {log, opaque};
  has_host.store(log != nullptr, std::memory_order_relaxed);
}

bool enabled(virt_uv_log_level level) noexcept {
  if (level <= environment_level()) return true;
  return level <= VIRT_UV_LOG_INFO && has_host.load(std::memory_order_relaxed);
}

void emit(virt_uv_log_level level, const char *message) noexcept {
  const Host to = current_host();
  if (to.log == nullptr) {
    std::fprintf(stderr, "virt-uv: %s: %s\n", kNames[level], message);
    return;
  }
  calling_out();
  try {
    to.log(level, message, to.opaque);
  } catch (...) {
    // The host's logger failed: there is nobody left to tell, and the caller is libvirt's C code.
  }
}

}  // namespace virt_uv::log
