// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The libuv side of watches, on one loop: makes each watch's uv_poll_t match what is wanted, and dispatches. The
// loop's thread only.
//
//     reconcile()   takes the dirty watches: arms those whose `wanted` has outgrown `armed`, releases the removed
//     on_poll()     judges an event by what is wanted at that moment: calls back, or, when it is not wanted, narrows
//     narrow()      narrows `armed` to `wanted`, so that an unwanted event does not come again
//
// A handle's memory is found by its watch's index, as libuv needs it until the handle has closed, later than the
// watch's `ff`: so a slot is freed when both are done.
//
// A duplicate fd is closed only after its uv_poll_t: libuv takes the number out of epoll when the handle is stopped or
// closed, and a number that had another file behind it by then would be the wrong one.
//
// The handle of a released watch is kept, started as it was, with the placeholder behind its number, for the next watch
// that gets the slot (core/watches.hpp). libuv takes the number for one that is in epoll, and where the next watch is
// armed for the same events, putting its fd there is all that is to be done. What no add has needed for a second is
// closed.
//
// To open a handle takes some microseconds, to close one about one. So that a loop with thousands of watches does not
// stand still while it is attached or detached, a reconcile opens so many at most, and a loop is left chunk by chunk.
//
// The host may close any handle that it finds on its loop. No handle is touched without a look whether it is closing;
// one that the host has closed makes the whole lost (is_lost()), and the Reconciler gives the loop up.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/watches.hpp"
#include "loop/handles.hpp"
#include "loop/kernel_mask.hpp"
#include "loop/placeholder.hpp"
#include "loop/rests.hpp"
#include "loop/waker.hpp"

namespace virt_uv::loop {

class Polls {
 public:
  struct Parts {
    core::Context &context;
    core::Watches &watches;
    KernelMask &kernel_mask;
    Waker &waker;
  };

  Polls(uv_loop_t *loop, const Parts &parts, ClosingHandles &closing) noexcept;

  // 0, UV_EMFILE, UV_ENFILE or UV_ENOMEM.
  int open() noexcept;

  // Brings libuv in line with every dirty watch, and with the deferred ones that are due or have changed. It opens
  // kMostOpened handles at most, and keeps the watches that need more for the next call.
  void reconcile() noexcept;
  bool has_backlog() const noexcept { return !backlog_.empty(); }
  // Looks at every deferred watch, due or not.
  void retry() noexcept;

  // When what is not needed is to be closed, in the loop's milliseconds.
  std::uint64_t trim_due() const noexcept { return trim_due_; }
  // When a socket has rested for long enough, likewise.
  std::uint64_t rest_due() const noexcept { return rests_.due(); }

  // Watches that epoll can't take are looked at in each iteration.
  bool has_always_ready() const noexcept { return !always_ready_.empty(); }
  void dispatch_always_ready();

  // Closes what a removed watch has on the loop, at once: the peer's end of file comes with it.
  void release(core::Watch &watch) noexcept;

  // Closes the file of a removed watch, at once, and leaves its handle and the number for release(): touches nothing of
  // libuv's, as this is not one of the loop's calls.
  void release_file(core::Watch &watch) noexcept;

  // No event is passed on any more, and nothing is armed: the loop is being left, or this is a child after fork().
  void fall_silent() noexcept { is_silent_ = true; }

  // Begins to leave the loop: what has no handle is passed on to the next loop.
  void leave() noexcept;
  // Closes the handles of the next chunk of watches, which are dirty again, for the next loop. False: that was all.
  bool leave_next() noexcept;

  // The same, where the host has closed handles itself, perhaps the loop too: those are not touched, and no close
  // callback comes.
  void abandon() noexcept;

  // Has the host closed a handle?
  bool is_lost() const noexcept { return is_lost_; }

 private:
  struct PollOwner {
    Polls *polls;
    core::Watch *watch;  // nullptr: the loop was given up
  };
  using Poll = Owned<uv_poll_t, PollOwner>;

  struct Chunk {
    std::array<Poll, core::SlotTable<core::Watch>::kChunkSize> polls;
    std::uint32_t in_use = 0;
  };

  static void on_poll(uv_poll_t *handle, int status, int uv_events);
  static void on_closed(uv_handle_t *handle);

  static bool is_exact(const core::Watch &watch, const core::WatchWord &word, int status, int uv_events) noexcept;
  void dispatch(core::Watch &watch, core::WatchWord word, int status, int uv_events);
  void call(core::Watch &watch, int id, int events);
  void reconcile(core::Watch &watch) noexcept;
  void arm(core::Watch &watch, int armed) noexcept;
  int try_arm(core::Watch &watch, int armed) noexcept;
  bool is_started_for(const core::Watch &watch, int uv_events) noexcept;
  int put_into_epoll(core::Watch &watch, int uv_events) noexcept;
  int open_poll(core::Watch &watch) noexcept;
  int list_always_ready(core::Watch &watch) noexcept;
  void defer(core::Watch &watch) noexcept;
  void stop(core::Watch &watch) noexcept;
  bool keep(core::Watch &watch) noexcept;
  void trim() noexcept;
  void narrow(core::Watch &watch) noexcept;
  bool withhold(core::Watch &watch) noexcept;
  int true_events(core::Watch &watch, int status, int uv_events) noexcept;
  void close_poll(core::Watch &watch) noexcept;
  void close_duplicate(core::Watch &watch) noexcept;
  void finish_taking_out(const core::Watch &watch) noexcept;
  bool take_out_of_epoll(const core::Watch &watch) noexcept;
  bool has_to_wait(const core::Watch &watch) const noexcept;
  void pass_on() noexcept;
  void leave(core::Watch &watch) noexcept VIRT_UV_REQUIRES(watches_.table().mutex());
  void abandon_poll(core::Watch &watch) noexcept VIRT_UV_REQUIRES(watches_.table().mutex());
  bool has_closed(const Poll &poll) noexcept;
  std::unique_ptr<Chunk> &chunk_of(const core::Watch &watch) noexcept;
  Poll &poll_of(const core::Watch &watch) noexcept;

  uv_loop_t *loop_;
  core::Context &context_;
  core::Watches &watches_;
  KernelMask &kernel_mask_;
  Waker &waker_;
  ClosingHandles &closing_;
  Rests rests_;
  Placeholder placeholder_;
  std::array<std::unique_ptr<Chunk>, core::SlotTable<core::Watch>::kChunks> chunks_;
  core::SlotQueue<core::SlotTable<core::Watch>> backlog_{watches_.table()};  // dirty, without a handle
  unsigned opened_ = 0;                                                      // by this reconcile()
  std::uint32_t left_chunks_ = 0;
  std::vector<core::Watch *> always_ready_;  // armed for READABLE or WRITABLE; nullptr: released since the last look
  std::uint64_t trim_due_ = core::kNever;
  // libuv 1.45 and later may take a number out of epoll some time after it was told to.
  const bool deletes_late_ = uv_version() >= 0x012d00;
  bool is_silent_ = false;
  bool is_lost_ = false;
};

}  // namespace virt_uv::loop
