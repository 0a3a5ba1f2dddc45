// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/watches.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/call_out.hpp"
#include "core/errno_text.hpp"
#include "core/no_cancel.hpp"
#include "core/probes.hpp"

namespace virt_uv::core {
namespace {

// Standard streams that the host has closed stay closed: a duplicate there would be written to as if it were stderr.
constexpr int kLowestDuplicate = 3;

}  // namespace

int Watches::failed(int fd, const char *why) noexcept {
  context_.counters.failures.increment();
  context_.log.error("cannot watch fd {}: {}", fd, why);
  return -1;
}

// The parked watch with the longest rest, whose number has the caller's file now.
Watch *Watches::claim_parked(int fd) noexcept {
  Watch &watch = parked_.pop();
  if (dup3(fd, watch.dup.load(std::memory_order_relaxed), O_CLOEXEC) < 0) {
    parked_.push(watch);
    return nullptr;
  }
  least_parked_ = std::min(least_parked_, parked_.size());
  --warm_;
  watch.is_warm = false;
  SlotTable<Watch>::renew(watch);
  watch.state.set_polled();  // its number is libuv's to know
  return &watch;
}

// A slot for a watch of `fd`, with the number to poll in it. nullptr: errno says why; ENOSPC, every slot is in use.
Watch *Watches::claim(int fd, FdKind kind) noexcept {
  const bool has_duplicate = kind != FdKind::kAlwaysReady;
  if (has_duplicate && !parked_.empty()) return claim_parked(fd);
  const int number = has_duplicate ? fcntl(fd, F_DUPFD_CLOEXEC, kLowestDuplicate) : fd;
  if (number < 0) return nullptr;
  const bool is_full = table_.is_full();
  Watch *watch = table_.allocate();
  if (watch == nullptr) {
    if (has_duplicate) close(number);
    errno = is_full ? ENOSPC : ENOMEM;
    return nullptr;
  }
  watch->dup.store(number, std::memory_order_relaxed);
  return watch;
}

int Watches::add(int fd, FdKind kind, int events, virEventHandleCallback cb, void *opaque,
                 virFreeCallback ff) noexcept {
  if (cb == nullptr) return failed(fd, "the callback is NULL");
  if (kind == FdKind::kUnknown) return failed(fd, ErrnoText(errno).get());
  Watch *watch;
  WatchWord word(0);
  {
    Lock lock(table_.mutex());
    watch = claim(fd, kind);
    if (watch != nullptr) {
      watch->cb = cb;
      watch->opaque = opaque;
      watch->ff = ff;
      watch->stats.reset();
      watch->fd = fd;
      watch->kind = kind;
      watch->is_pollable = false;
      watch->freed = false;
      watch->failed_to_arm = false;
      watch->rounds = 0;
      word = watch->state.publish(deliverable(events));
    }
  }
  if (watch == nullptr)
    return failed(fd,
                  errno == ENOSPC ? "a million watches are registered, which is the limit" : ErrnoText(errno).get());
  context_.counters.watches.add();
  if (word.has(WatchWord::kDirty)) dirty_.push(*watch);
  context_.log.debug("watch {}: fd {}, events {}", word.id(), fd, events);
  return word.id();
}

// The thread that has made a watch dirty tells the loop's thread.
void Watches::mark_changed(Watch &watch, const WatchChange &change) noexcept {
  if (change.after.has(WatchWord::kDeferred))
    deferred_.request();
  else
    dirty_.push(watch);
}

Watches::ToDo Watches::remove(int id) noexcept {
  Watch *watch = table_.find(id);
  // Read before the swap: after it the slot may be another watch's at any moment. What is read of this generation's
  // slot stays, and the swap is made for this generation only.
  if (watch == nullptr || !watch->state.load().is_live_as(id)) return {};
  const int dup = watch->has_duplicate() ? watch->dup.load(std::memory_order_relaxed) : -1;
  NoCancel no_cancel;
  const WatchChange change = watch->state.remove(id);
  if (!change.made) return {};
  context_.counters.watches.remove();
  if (!change.before.has(WatchWord::kPolled) && dup >= 0) close(dup);  // model: REMOVE_CLOSE
  if (change.became(WatchWord::kDirty)) mark_changed(*watch, change);
  return {watch, true, false};
}

void Watches::run_frees() {
  to_free_.consume([this](Watch &watch) {
    if (context_.calls.dispatches(&watch)) return to_free_.push(watch);
    VIRT_UV_PROBE(free_handle, watch.slot_id(), watch.ff);
    const virFreeCallback ff = watch.ff;
    void *const opaque = watch.opaque;
    // All before the call, which may leave by longjmp.
    context_.counters.frees.increment();
    watch.freed = true;
    give_back(watch);  // model: GIVE_FREED
    if (ff != nullptr) call_guarded(context_, [=] { ff(opaque); });
    VIRT_UV_PROBE(freed_handle);
  });
}

void Watches::give_back(Watch &watch) noexcept {
  if (!watch.freed || (watch.has_poll && !watch.is_warm)) return;
  Lock lock(table_.mutex());
  if (watch.is_warm)
    parked_.push(watch);
  else
    table_.free(watch);
}

void Watches::set_most_warm(std::size_t most) noexcept {
  Lock lock(table_.mutex());
  most_warm_ = most;
}

bool Watches::make_warm(Watch &watch) noexcept {
  Lock lock(table_.mutex());
  if (warm_ >= most_warm_ || SlotTable<Watch>::is_spent(watch)) return false;
  ++warm_;
  watch.is_warm = true;
  return true;
}

bool Watches::has_warm() noexcept {
  Lock lock(table_.mutex());
  return warm_ > 0;
}

void Watches::end_parking() noexcept {
  Lock lock(table_.mutex());
  parked_.clear();
  least_parked_ = warm_ = 0;
}

void Watches::disown() noexcept {
  table_.for_each_alone([](Watch &watch) {
    if (!watch.state.load_relaxed().is_live()) return;
    watch.state.disown();
    if (watch.has_duplicate()) close(watch.dup.load(std::memory_order_relaxed));
  });
  dirty_.clear();
  deferred_.clear();
  to_free_.clear();
}

}  // namespace virt_uv::core
