// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Watches: what libvirt wants of each fd. Their protocol is in watch_state.hpp; what polls them is in loop/polls.hpp.
//
// A watch polls a duplicate of the caller's fd, which the caller may close or reuse at any time. Only what epoll
// refuses has none: it is never polled, and closing a duplicate of it would release the record locks that the process
// holds on the file (fcntl(2)).
//
// To open a poll handle takes ten system calls. So the handle of a removed watch is kept open for a moment, with the
// number that it polls and the loop's placeholder behind it (loop/placeholder.hpp): such a watch is "warm". Once its
// `ff` is done with it is parked, and the next add takes it, whose file is put behind the number by dup3().
//
// The members of a watch, except `withheld`, are written by add before the watch is live, and not again until its slot
// is freed, which the loop's thread alone does: so dispatch, on that thread, reads them without a lock.
#pragma once

#include <libvirt/libvirt.h>

#include <atomic>
#include <cstdint>

#include "core/context.hpp"
#include "core/counters.hpp"
#include "core/masks.hpp"
#include "core/slot_lists.hpp"
#include "core/slot_table.hpp"
#include "core/watch_state.hpp"

namespace virt_uv::core {

// What can be believed of an fd's events (loop/fd_kind.hpp).
enum class FdKind : unsigned char { kPlain, kSocket, kInspected, kAnonymous, kAlwaysReady, kUnknown };

// Can events be passed on without a look at the fd?
constexpr bool is_believed(FdKind kind) noexcept { return kind <= FdKind::kSocket; }

// One cache line: with thousands of ready fds the cache decides how fast dispatch is.
struct alignas(64) Watch {
  int slot_id() const noexcept { return state.load_relaxed().id(); }
  void set_free(int id) noexcept { state.set_free(id); }

  // Does the watch poll a duplicate of its own?
  bool has_duplicate() const noexcept { return dup.load(std::memory_order_relaxed) != fd; }

  WatchState state;
  virEventHandleCallback cb = nullptr;
  void *opaque = nullptr;
  virFreeCallback ff = nullptr;
  CallStats stats;
  int fd = -1;               // the caller's number, told to the callback
  std::atomic<int> dup{-1};  // the number that is polled; -1: closed
  std::uint32_t next = 0;

  // The loop's thread only.
  FdKind kind = FdKind::kUnknown;
  bool has_poll : 1;       // its uv_poll_t is initialised; a close that has begun ends in Polls::on_closed
  bool is_warm : 1;        // it is removed, and its uv_poll_t kept for another watch
  bool is_pollable : 1;    // epoll has taken its file; if false, a started handle is one that epoll lacks
  bool freed : 1;          // `ff` has been taken for the call: the slot can be freed once has_poll is false
  bool is_closing : 1;     // its close has begun, by the library itself
  bool failed_to_arm : 1;  // and the log says so

  unsigned char started_for : 4;  // what its uv_poll_t was last started for, while that is active
  unsigned char rounds : 4;       // Rests has it; 0: it is not looked at

  unsigned char withheld = 0;  // KernelMask has it: of what is armed, what the kernel is not asked for

  Watch() noexcept
      : has_poll(false),
        is_warm(false),
        is_pollable(false),
        freed(false),
        is_closing(false),
        failed_to_arm(false),
        started_for(0),
        rounds(0) {}
};
static_assert(sizeof(Watch) == 64, "a watch is one cache line");

class Watches {
 public:
  // What a change leaves to be done.
  struct ToDo {
    Watch *watch = nullptr;    // nullptr: there is no such watch, or nothing has changed
    bool wake_loop = false;    // the loop's thread has to look at it
    bool tell_kernel = false;  // it is direct
  };

  explicit Watches(Context &context) noexcept : context_(context) {}

  // Any thread. kUnknown: errno says why `fd` can't be watched. Returns the id, or -1: see virt_uv_add_handle.
  int add(int fd, FdKind kind, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept;
  ToDo update(int id, int events) noexcept;
  ToDo remove(int id) noexcept;

  SlotTable<Watch> &table() noexcept { return table_; }

  // --- The loop's thread ---

  bool has_dirty() const noexcept { return !dirty_.empty(); }
  // Calls fn(watch) for each dirty watch.
  template <typename Fn>
  void consume_dirty(Fn &&fn) {
    dirty_.consume(fn);
  }
  // For a watch that has just become dirty.
  void push_dirty(Watch &watch) noexcept { dirty_.push(watch); }

  RetryList<SlotTable<Watch>> &deferred() noexcept { return deferred_; }

  // The watch is removed and nothing of the loop's own refers to it any more, except perhaps its handle.
  void push_free(Watch &watch) noexcept { to_free_.push(watch); }
  bool has_frees() const noexcept { return !to_free_.empty(); }
  // Calls each `ff` that is due, on a clean stack.
  void run_frees();

  // Frees the slot of a watch whose `ff` is done with and that has no handle; or parks it, when it is warm.
  void give_back(Watch &watch) noexcept;

  // How many may be warm.
  void set_most_warm(std::size_t most) noexcept;
  // For a watch that is released and has a handle. False: it may not be warm, and its handle is to be closed.
  bool make_warm(Watch &watch) noexcept;
  bool has_warm() noexcept;
  // Calls fn(watch), with the table's mutex held, for the parked watches that no add has needed since the last time:
  // they are not warm any more.
  template <typename Fn>
  void take_unneeded(Fn &&fn) noexcept;
  // No add takes what is parked any more.
  void end_parking() noexcept;

  // --- A child after fork(), alone ---

  // What the parent has registered is not the child's: no call comes, and no id is used again.
  void disown() noexcept;

 private:
  int failed(int fd, const char *why) noexcept;
  Watch *claim(int fd, FdKind kind) noexcept VIRT_UV_REQUIRES(table_.mutex());
  Watch *claim_parked(int fd) noexcept VIRT_UV_REQUIRES(table_.mutex());
  void mark_changed(Watch &watch, const WatchChange &change) noexcept;

  Context &context_;
  SlotTable<Watch> table_;
  DirtyList<SlotTable<Watch>> dirty_{table_};
  RetryList<SlotTable<Watch>> deferred_{table_};
  SlotQueue<SlotTable<Watch>> to_free_{table_};  // the loop's thread only
  SlotQueue<SlotTable<Watch>> parked_ VIRT_UV_GUARDED_BY(table_.mutex()){table_};
  std::size_t least_parked_ VIRT_UV_GUARDED_BY(table_.mutex()) = 0;  // since take_unneeded()
  std::size_t warm_ VIRT_UV_GUARDED_BY(table_.mutex()) = 0;          // the parked, and those whose `ff` is to come
  std::size_t most_warm_ VIRT_UV_GUARDED_BY(table_.mutex()) = 0;
};

template <typename Fn>
void Watches::take_unneeded(Fn &&fn) noexcept {
  Lock lock(table_.mutex());
  for (; least_parked_ > 0; --least_parked_) {
    Watch &watch = parked_.pop();
    watch.is_warm = false;
    --warm_;
    fn(watch);
  }
  least_parked_ = parked_.size();
}

// Here, and inlined: libvirt updates a handle several times for each call that it makes.
[[gnu::always_inline]] inline Watches::ToDo Watches::update(int id, int events) noexcept {
  Watch *watch = table_.find(id);
  if (watch == nullptr) return {};
  const WatchChange change = watch->state.update(id, deliverable(events));
  if (!change.made) return {};
  ToDo to_do{watch, change.became(WatchWord::kDirty), false};
  const int changed = change.before.wanted() ^ change.after.wanted();
  to_do.tell_kernel = change.after.has(WatchWord::kDirect) && (changed & kReadWrite) != 0;
  if (to_do.wake_loop) mark_changed(*watch, change);
  return to_do;
}

}  // namespace virt_uv::core
