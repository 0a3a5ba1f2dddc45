// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/watches.hpp"

#include <unistd.h>

#include <cerrno>

#include "core/call_out.hpp"
#include "core/errno_text.hpp"
#include "core/no_cancel.hpp"
#include "core/probes.hpp"

namespace virt_uv::core {
int Watches::failed(int fd, const char *why) noexcept {
  context_.counters.failures.increment();
  context_.log.error("cannot watch fd {}: {}", fd, why);
  return -1;
}

int Watches::add(int fd, int dup, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept {
  if (cb == nullptr) {
    if (dup != fd && dup >= 0) close(dup);
    return failed(fd, "the callback is NULL");
  }
  if (dup < 0) return failed(fd, ErrnoText(errno).get());

  Watch *watch;
  bool is_full = false;
  WatchWord word(0);
  {
    Lock lock(table_.mutex());
    is_full = table_.is_full();
    watch = table_.allocate();
    if (watch != nullptr) {
      watch->cb = cb;
      watch->opaque = opaque;
      watch->ff = ff;
      watch->stats.reset();
      watch->fd = fd;
      watch->dup.store(dup, std::memory_order_relaxed);
      watch->kind = FdKind::kUnknown;
      watch->freed = false;
      watch->failed_to_arm = false;
      word = watch->state.publish(deliverable(events));
    }
  }
  if (watch == nullptr) {
    if (dup != fd) close(dup);
    return failed(fd, is_full ? "a million watches are registered, which is the limit" : ErrnoText(ENOMEM).get());
  }
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
  if (!watch.freed || watch.has_poll) return;
  Lock lock(table_.mutex());
  table_.free(watch);
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
