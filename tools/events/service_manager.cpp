/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service_manager.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <utility>

#ifdef VIRT_UV_SYSTEMD
#include <systemd/sd-daemon.h>
#else
namespace {

int sd_notify(int, const char *) { return 0; }
int sd_watchdog_enabled(int, std::uint64_t *) { return 0; }

}  // namespace
#endif

namespace events {

void ServiceManager::open(uv_loop_t *loop) {
  uv_timer_init(loop, &watchdog_);
  watchdog_.data = this;
  std::uint64_t limit_us = 0;
  if (sd_watchdog_enabled(0, &limit_us) <= 0) return;
  const std::uint64_t half_ms = limit_us / 2000; /* as its manual recommends */
  uv_timer_start(
      &watchdog_, [](uv_timer_t *watchdog) { static_cast<ServiceManager *>(watchdog->data)->tell("WATCHDOG=1"); }, 0,
      half_ms > 0 ? half_ms : 1);
}

void ServiceManager::close() { uv_close(reinterpret_cast<uv_handle_t *>(&watchdog_), nullptr); }

void ServiceManager::set_status(const std::string &status) {
  if (status == status_) return;
  status_ = status;
  tell("STATUS=" + status);
}

void ServiceManager::tell(const std::string &state) {
  const int result = sd_notify(0, state.c_str());
  if (result >= 0 || std::exchange(has_failed_, true)) return;
  log_->write(Severity::kWarning, fmt::format("the service manager cannot be told: {}", std::strerror(-result)));
}

}  // namespace events
