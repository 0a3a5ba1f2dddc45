// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: arguments are checked here, and the calls passed on. Each contract is in virt-uv.h.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

#include "api/fork.hpp"
#include "api/instance.hpp"
#include "core/call_out.hpp"
#include "virt-uv/virt-uv.h"

#define VIRT_UV_STRINGIFY_(x) #x
#define VIRT_UV_STRINGIFY(x) VIRT_UV_STRINGIFY_(x)

namespace {

namespace core = virt_uv::core;

using virt_uv::api::Instance;
using virt_uv::api::is_refused_child;

core::Log &log() noexcept { return Instance::get().context().log; }

bool is_zero(const char *from, const char *to) noexcept {
  return std::all_of(from, to, [](char byte) { return byte == 0; });
}

// No version's struct comes near a page: a larger size was never set, and following it would leave the caller's memory.
constexpr std::size_t kLargestOptions = 4096;

// The first release's: no header has a smaller one.
struct FirstOptions {
  std::size_t size;
  unsigned flags;
  virt_uv_log_cb log;
  void *log_opaque;
  unsigned slow_callback_ms;
};

// Sets `*ret` to the options, with defaults for what the caller's header does not have. A caller built against a later
// header passes a larger struct: fine, while it asks for nothing that is unknown here.
int take_options(const virt_uv_options &options, virt_uv_options *ret) noexcept {
  const auto *bytes = reinterpret_cast<const char *>(&options);
  const std::size_t known = std::min(options.size, sizeof options);
  if (options.size < sizeof(FirstOptions) || options.size > kLargestOptions ||
      !is_zero(bytes + known, bytes + options.size)) {
    log().error("virt_uv_options: start from VIRT_UV_OPTIONS_INIT, and don't use what is newer than this library");
    return UV_EINVAL;
  }
  if (options.flags != 0) {
    log().error("virt_uv_options: flags {:#x} is not known", options.flags);
    return UV_EINVAL;
  }
  std::memcpy(ret, &options, known);
  return 0;
}

// A refusal of arguments.
int refuse(const char *call, const char *why) noexcept {
  log().error("{}: {}", call, why);
  return UV_EINVAL;
}

// --- virt_uv_walk() ---

virt_uv_entry entry_of(const core::CallStats &stats, int id) noexcept {
  virt_uv_entry entry{};
  entry.size = sizeof entry;
  entry.id = id;
  entry.fd = -1;
  entry.fired = stats.count();
  entry.last_ms = stats.last_ms();
  entry.longest_us = stats.longest_us();
  return entry;
}

// Reports the events that were asked for, as far as they can be told: ERROR and HANGUP come with every mask.
virt_uv_entry entry_of(const core::Watch &watch, std::uint64_t bits) noexcept {
  const core::WatchWord word(bits);
  virt_uv_entry entry = entry_of(watch.stats, word.id());
  entry.fd = watch.fd;
  entry.events = word.wanted();
  return entry;
}

virt_uv_entry entry_of(const core::Timeout &timeout, std::uint64_t word) noexcept {
  virt_uv_entry entry = entry_of(timeout.stats, core::id_of(word));
  entry.is_timeout = 1;
  entry.frequency = core::frequency_of(word);
  return entry;
}

std::uint64_t word_of(const core::Watch &watch) noexcept { return watch.state.load().bits(); }
std::uint64_t word_of(const core::Timeout &timeout) noexcept { return timeout.word.load(std::memory_order_acquire); }

// The entries of one chunk are collected with its lock held, and appended, which may allocate, without.
template <typename Slot>
void append_entries(std::vector<virt_uv_entry> &entries, core::SlotTable<Slot> &table) {
  std::array<virt_uv_entry, core::SlotTable<Slot>::kChunkSize> chunk;
  std::size_t count = 0;
  table.for_each(
      [&](const Slot &slot) {
        const std::uint64_t word = word_of(slot);
        if (core::is_live(word)) chunk[count++] = entry_of(slot, word);
      },
      [&] {
        entries.insert(entries.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
        count = 0;
      });
}

}  // namespace

int virt_uv_attach(uv_loop_t *loop, const virt_uv_options *options) {
  virt_uv_options wanted = VIRT_UV_OPTIONS_INIT;
  if (is_refused_child()) return UV_EPERM;
  if (options != nullptr) {
    if (const int err = take_options(*options, &wanted)) return err;
  }
  const core::Log::Function function{wanted.log, wanted.log_opaque};
  const core::Log::Redirect to_caller(function);
  if (loop == nullptr) loop = uv_default_loop();
  if (loop == nullptr) {
    log().error("cannot attach: uv_default_loop() has no loop");
    return UV_ENOMEM;
  }
  virt_uv::api::watch_for_fork();
  return Instance::get().attach(loop, wanted);
}

int virt_uv_detach(virt_uv_cb done, void *opaque) {
  return is_refused_child() ? UV_EPERM : Instance::get().detach(done, opaque);
}

int virt_uv_drain(virt_uv_cb idle, void *opaque) {
  if (is_refused_child()) return UV_EPERM;
  if (idle == nullptr) return refuse("virt_uv_drain", "`idle` is NULL");
  return Instance::get().drain(idle, opaque);
}

uv_loop_t *virt_uv_loop(void) { return is_refused_child() ? nullptr : Instance::get().loop(); }

int virt_uv_take_loop(void) { return is_refused_child() ? UV_EPERM : Instance::get().take_loop(); }

void virt_uv_ref(void) {
  if (!is_refused_child()) Instance::get().set_referenced(true);
}

void virt_uv_unref(void) {
  if (!is_refused_child()) Instance::get().set_referenced(false);
}

int virt_uv_get_stats(virt_uv_stats *ret) {
  if (ret == nullptr || ret->size < sizeof ret->size)
    return refuse("virt_uv_get_stats", "start from VIRT_UV_STATS_INIT");
  const core::Counters &counters = Instance::get().context().counters;
  // What was counted first is read last, so that a difference hardly ever comes out negative.
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  stats.frees = counters.frees.get();
  const std::uint64_t removed_watches = counters.watches.removed();
  const std::uint64_t removed_timeouts = counters.timeouts.removed();
  const std::uint64_t added_watches = counters.watches.added();
  const std::uint64_t added_timeouts = counters.timeouts.added();
  stats.watches = core::difference(added_watches, removed_watches);
  stats.timeouts = core::difference(added_timeouts, removed_timeouts);
  stats.frees_pending = core::difference(removed_watches + removed_timeouts, stats.frees);
  stats.adds = added_watches + added_timeouts;
  stats.callbacks = counters.callbacks.get();
  stats.dropped = counters.dropped.get();
  stats.inspections = counters.inspections.get();
  stats.wakeups = counters.wakeups.get();
  stats.failures = counters.failures.get();
  stats.slow_callbacks = counters.slow_callbacks.get();
  stats.exceptions = counters.exceptions.get();
  stats.longest_us = counters.longest_us.get();
  stats.most_watches = counters.watches.most();
  stats.most_timeouts = counters.timeouts.most();
  stats.size = std::min(ret->size, sizeof stats);
  std::memcpy(ret, &stats, stats.size);
  return 0;
}

int virt_uv_walk(virt_uv_walk_cb cb, void *opaque) {
  if (cb == nullptr) return refuse("virt_uv_walk", "`cb` is NULL");
  if (is_refused_child()) return 0;
  Instance &instance = Instance::get();
  std::vector<virt_uv_entry> entries;
  try {
    append_entries(entries, instance.watches().table());
    append_entries(entries, instance.timeouts().table());
  } catch (const std::bad_alloc &) {
    log().error("cannot walk: {}", uv_strerror(UV_ENOMEM));
    return UV_ENOMEM;
  }
  for (const virt_uv_entry &entry : entries) core::call_guarded(instance.context(), [&] { cb(&entry, opaque); });
  return static_cast<int>(entries.size());
}

unsigned virt_uv_version(void) { return VIRT_UV_VERSION_NUMBER; }

const char *virt_uv_version_string(void) {
  return VIRT_UV_STRINGIFY(VIRT_UV_VERSION_MAJOR) "." VIRT_UV_STRINGIFY(VIRT_UV_VERSION_MINOR) "." VIRT_UV_STRINGIFY(
      VIRT_UV_VERSION_MICRO);
}

int virt_uv_add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) {
  return is_refused_child() ? -1 : Instance::get().add_handle(fd, events, cb, opaque, ff);
}

void virt_uv_update_handle(int watch, int events) {
  if (!is_refused_child()) Instance::get().update_handle(watch, events);
}

int virt_uv_remove_handle(int watch) { return is_refused_child() ? -1 : Instance::get().remove_handle(watch); }

int virt_uv_add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) {
  return is_refused_child() ? -1 : Instance::get().add_timeout(frequency, cb, opaque, ff);
}

void virt_uv_update_timeout(int timer, int frequency) {
  if (!is_refused_child()) Instance::get().update_timeout(timer, frequency);
}

int virt_uv_remove_timeout(int timer) { return is_refused_child() ? -1 : Instance::get().remove_timeout(timer); }

void virt_uv_report_exception(const char *what) {
  if (!is_refused_child()) core::report_exception(Instance::get().context(), what);
}
