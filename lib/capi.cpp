// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: arguments are checked here, and the calls passed on. Each contract is in virt-uv.h.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <vector>

#include "adapter.hpp"
#include "callout.hpp"
#include "counters.hpp"
#include "libuv_check.hpp"
#include "log.hpp"
#include "registration.hpp"
#include "virt-uv/virt-uv.h"

#define VIRT_UV_STRINGIFY_(x) #x
#define VIRT_UV_STRINGIFY(x) VIRT_UV_STRINGIFY_(x)

namespace {

using virt_uv::Adapter;

// A forked child shares the parent's epoll instance: what it would change there, it would change for the parent. So
// everything is refused in it before a lock is looked at, for one may be held by a thread that does not exist there.
std::atomic<bool> in_forked_child{false};

bool is_forked_child() noexcept { return in_forked_child.load(std::memory_order_relaxed); }

void watch_for_fork() noexcept {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { in_forked_child.store(true); });
  if (registered != 0) virt_uv::log::warn("fork() cannot be watched for: a forked child must not call libvirt");
}

bool is_zero(const char *from, const char *to) noexcept {
  return std::all_of(from, to, [](char byte) { return byte == 0; });
}

// No version's struct comes near a page: a larger size was never set, and following it would leave the caller's memory.
constexpr std::size_t kLargestOptions = 4096;

// A caller built against a later header passes a larger struct: fine, while it asks for nothing that is unknown here.
int check_options(const virt_uv_options &options) noexcept {
  const auto *bytes = reinterpret_cast<const char *>(&options);
  if (options.size < sizeof options || options.size > kLargestOptions ||
      !is_zero(bytes + sizeof options, bytes + options.size)) {
    virt_uv::log::error(
        "virt_uv_options: start from VIRT_UV_OPTIONS_INIT, and don't use what is newer than this library");
    return UV_EINVAL;
  }
  if (options.flags != 0) {
    virt_uv::log::error("virt_uv_options: flags {:#x} is not known", options.flags);
    return UV_EINVAL;
  }
  return 0;
}

// Of two counts that other threads raise meanwhile: a free may be counted before the remove that led to it.
constexpr std::uint64_t difference(std::uint64_t more, std::uint64_t less) noexcept {
  return more > less ? more - less : 0;
}

void apply_options(const virt_uv_options &options) noexcept {
  virt_uv::log::set_host(options.log, options.log_opaque);
  virt_uv::slow_callback_ms.store(options.slow_callback_ms, std::memory_order_relaxed);
}

}  // namespace

int virt_uv_attach(uv_loop_t *loop, const virt_uv_options *options) {
  static const virt_uv_options kDefaults = VIRT_UV_OPTIONS_INIT;
  const virt_uv_options &wanted = options != nullptr ? *options : kDefaults;
  if (is_forked_child()) return UV_EPERM;
  if (const int err = check_options(wanted)) return err;
  if (loop == nullptr) loop = uv_default_loop();
  if (loop == nullptr) {
    virt_uv::log::error("cannot attach: uv_default_loop() has no loop");
    return UV_ENOMEM;
  }

  Adapter &adapter = Adapter::instance();
  const bool is_ours_already = adapter.loop() != nullptr;
  if (adapter.is_detaching() || (is_ours_already && adapter.loop() != loop)) {
    virt_uv::log::error("cannot attach: {}", adapter.is_detaching() ? "a detach has not finished: wait for its `done`"
                                                                    : "another loop is attached: detach it first");
    return UV_EBUSY;
  }
  apply_options(wanted);
  watch_for_fork();
  int err = virt_uv::check_libuv(loop);
  if (err == 0) err = virt_uv::register_with_libvirt();
  if (err == 0) err = adapter.attach(loop);
  if (err == 0 && !is_ours_already) virt_uv::log::info("attached: libuv {}", uv_version_string());
  if (err < 0 && !is_ours_already) virt_uv::log::set_host(nullptr, nullptr);
  return err;
}

int virt_uv_detach(virt_uv_cb done, void *opaque) {
  return is_forked_child() ? UV_EPERM : Adapter::instance().detach(done, opaque);
}

int virt_uv_drain(virt_uv_cb idle, void *opaque) {
  if (is_forked_child()) return UV_EPERM;
  return idle != nullptr ? Adapter::instance().drain(idle, opaque) : UV_EINVAL;
}

uv_loop_t *virt_uv_loop(void) { return is_forked_child() ? nullptr : Adapter::instance().loop(); }

void virt_uv_ref(void) {
  if (!is_forked_child()) Adapter::instance().set_referenced(true);
}

void virt_uv_unref(void) {
  if (!is_forked_child()) Adapter::instance().set_referenced(false);
}

int virt_uv_get_stats(virt_uv_stats *ret) {
  if (ret == nullptr || ret->size < sizeof ret->size) return UV_EINVAL;
  const virt_uv::Counters &counters = virt_uv::counters;
  // What was counted first is read last, so that a difference hardly ever comes out negative.
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  stats.frees = counters.frees.get();
  const std::uint64_t removed_watches = counters.removed_watches.get();
  const std::uint64_t removed_timeouts = counters.removed_timeouts.get();
  const std::uint64_t added_watches = counters.added_watches.get();
  const std::uint64_t added_timeouts = counters.added_timeouts.get();
  stats.watches = difference(added_watches, removed_watches);
  stats.timeouts = difference(added_timeouts, removed_timeouts);
  stats.frees_pending = difference(removed_watches + removed_timeouts, stats.frees);
  stats.adds = added_watches + added_timeouts;
  stats.callbacks = counters.callbacks.get();
  stats.dropped = counters.dropped.get();
  stats.inspections = counters.inspections.get();
  stats.wakeups = counters.wakeups.get();
  stats.failures = counters.failures.get();
  stats.slow_callbacks = counters.slow_callbacks.get();
  stats.exceptions = counters.exceptions.get();
  stats.size = std::min(ret->size, sizeof stats);
  std::memcpy(ret, &stats, stats.size);
  return 0;
}

int virt_uv_walk(virt_uv_walk_cb cb, void *opaque) {
  if (cb == nullptr) return UV_EINVAL;
  if (is_forked_child()) return 0;
  std::vector<virt_uv_entry> entries;
  try {
    entries = Adapter::instance().entries();
  } catch (const std::bad_alloc &) {
    virt_uv::log::error("cannot walk: {}", uv_strerror(UV_ENOMEM));
    return UV_ENOMEM;
  }
  for (const virt_uv_entry &entry : entries) virt_uv::call_guarded([&] { cb(&entry, opaque); });
  return static_cast<int>(entries.size());
}

unsigned virt_uv_version(void) { return VIRT_UV_VERSION_NUMBER; }

const char *virt_uv_version_string(void) {
  return VIRT_UV_STRINGIFY(VIRT_UV_VERSION_MAJOR) "." VIRT_UV_STRINGIFY(VIRT_UV_VERSION_MINOR) "." VIRT_UV_STRINGIFY(
      VIRT_UV_VERSION_MICRO);
}

int virt_uv_add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) {
  return is_forked_child() ? -1 : Adapter::instance().add_handle(fd, events, cb, opaque, ff);
}

void virt_uv_update_handle(int watch, int events) {
  if (!is_forked_child()) Adapter::instance().update_handle(watch, events);
}

int virt_uv_remove_handle(int watch) { return is_forked_child() ? -1 : Adapter::instance().remove_handle(watch); }

int virt_uv_add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) {
  return is_forked_child() ? -1 : Adapter::instance().add_timeout(frequency, cb, opaque, ff);
}

void virt_uv_update_timeout(int timer, int frequency) {
  if (!is_forked_child()) Adapter::instance().update_timeout(timer, frequency);
}

int virt_uv_remove_timeout(int timer) { return is_forked_child() ? -1 : Adapter::instance().remove_timeout(timer); }

void virt_uv_report_exception(const char *what) {
  if (!is_forked_child()) virt_uv::report_exception(what);
}
