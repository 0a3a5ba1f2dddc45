// SPDX-License-Identifier: LGPL-2.1-or-later
#include "watch.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "callout.hpp"
#include "counters.hpp"
#include "log.hpp"

namespace virt_uv {
namespace {

// Standard streams that the host has closed stay closed: a duplicate there would be written to as if it were stderr.
constexpr int kLowestDuplicate = 3;

int failed(int fd, const char *why) noexcept {
  counters.failures.raise();
  log::error("cannot watch fd {}: {}", fd, why);
  return -1;
}

// The caller holds table.mutex().
void fill_in(Watch &watch, int fd, int dup, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept {
  watch.cb = cb;
  watch.opaque = opaque;
  watch.ff = ff;
  watch.tally.reset();
  watch.fd = fd;
  watch.dup.store(dup, std::memory_order_relaxed);
  watch.kind = FdKind::kUnknown;
  watch.freed = false;
}

}  // namespace

int Watches::add(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept {
  if (cb == nullptr) return failed(fd, "the callback is NULL");
  const int dup = fcntl(fd, F_DUPFD_CLOEXEC, kLowestDuplicate);
  if (dup < 0) return failed(fd, uv_strerror(uv_translate_sys_error(errno)));

  const int wanted = deliverable(events);
  Watch *watch;
  int id = -1;
  {
    Lock lock(table.mutex());
    watch = table.take();
    if (watch != nullptr) {
      fill_in(*watch, fd, dup, cb, opaque, ff);
      const std::uint64_t free_word = watch->word.load(std::memory_order_relaxed);
      id = id_of(free_word);
      const std::uint64_t dirty_mark = wanted != 0 ? kDirty : 0;
      // model: ADD_PUBLISH
      watch->word.store(with_wanted(free_word, wanted) | kLive | dirty_mark, std::memory_order_release);
    }
  }
  if (watch == nullptr) {
    close(dup);
    return failed(fd, uv_strerror(UV_ENOMEM));
  }
  counters.added_watches.raise();
  if (wanted != 0) dirty.push(*watch);
  log::debug("watch {}: fd {}, events {}", id, fd, events);
  return id;
}

bool Watches::update(int id, int events) noexcept {
  Watch *watch = table.find(id);
  if (watch == nullptr) return false;
  const int wanted = deliverable(events);
  std::uint64_t word = watch->word.load(std::memory_order_acquire);
  std::uint64_t next;
  do {
    if (!is(word, id) || wanted_of(word) == wanted) return false;
    next = with_wanted(word, wanted);
    if (!covers(armed_of(word), wanted)) next |= kDirty;
    // model: UPDATE_SWAP
  } while (!watch->word.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_acquire));

  if ((next & kDirect) != 0 && (wanted == 0) != (wanted_of(word) == 0)) masks.follow(*watch, id);
  const bool became_dirty = (next & ~word & kDirty) != 0;
  if (became_dirty) dirty.push(*watch);
  return became_dirty;
}

Watch *Watches::remove(int id) noexcept {
  Watch *watch = table.find(id);
  if (watch == nullptr) return nullptr;
  int dup;
  std::uint64_t word = watch->word.load(std::memory_order_acquire);
  std::uint64_t next;
  do {
    if (!is(word, id)) return nullptr;
    // Read before the swap: after it the slot may be another watch's at any moment.
    dup = watch->dup.load(std::memory_order_relaxed);
    next = (with_wanted(word, 0) & ~kLive) | kDirty;
    // model: REMOVE_SWAP
  } while (!watch->word.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_acquire));

  counters.removed_watches.raise();
  if ((word & kLoops) == 0) close(dup);  // model: REMOVE_CLOSE
  if ((word & kDirty) == 0) dirty.push(*watch);
  log::debug("watch {}: removed", id);
  return watch;
}

void Watches::run_frees() noexcept {
  to_free.consume([this](Watch &watch) {
    if (watch.ff != nullptr) call_guarded([&watch] { watch.ff(watch.opaque); });
    counters.frees.raise();
    watch.freed = true;
    give_back(watch);  // model: GIVE_FREED
  });
}

void Watches::give_back(Watch &watch) noexcept {
  if (!watch.freed || watch.has_poll) return;
  Lock lock(table.mutex());
  table.give(watch);
}

}  // namespace virt_uv
