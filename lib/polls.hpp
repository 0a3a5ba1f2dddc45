// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The libuv side of watches, on one loop: makes each watch's uv_poll_t match what is wanted, and dispatches. The
// loop's thread only.
//
//     reconcile()   takes the dirty watches: arms those whose `wanted` has outgrown `armed`, releases the removed
//     on_poll()     judges an event by what is wanted at that moment: calls back, or, when nobody wants it, settles
//     settle()      narrows `armed` to `wanted`, so that an unwanted event does not come again
//
// A handle's memory is found by its watch's index, as libuv needs it until the handle has closed, later than the
// watch's `ff`: so a slot is given back when both are done.
//
// A duplicate fd is closed only after its uv_poll_t: libuv takes the number out of epoll when the handle is stopped or
// closed, and a number that had another file behind it by then would be the wrong one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "clock.hpp"
#include "handle_count.hpp"
#include "stand_in.hpp"
#include "waker.hpp"
#include "watch.hpp"

namespace virt_uv {

class Polls {
 public:
  Polls(uv_loop_t *loop, Watches &watches, Waker &waker, HandleCount &handles) noexcept;

  // 0, UV_EMFILE, UV_ENFILE or UV_ENOMEM.
  int open() noexcept;

  // Brings libuv in line with every dirty watch.
  void reconcile() noexcept;

  // Watches that could not be armed are tried again then: uv_hrtime() in milliseconds, kNever: none.
  std::uint64_t retry_due() const noexcept { return retry_due_; }
  void retry() noexcept;

  // Watches that epoll can't take are looked at in each iteration.
  bool has_always_ready() const noexcept { return !always_ready_.empty(); }
  void dispatch_always_ready() noexcept;

  // Closes what a removed watch has on the loop, at once: the peer's end of file comes with it.
  void release(Watch &watch) noexcept;

  // Closes the file of a removed watch, at once, and leaves its handle and the number for release(): touches nothing of
  // libuv's, whose loop need not be in one of its calls to us.
  void release_file(Watch &watch) noexcept;

  // Closes every handle; live watches are dirty again, for the next loop. `on_loop` false: the host has closed the
  // handles, perhaps the loop too; they are forgotten.
  void give_up(bool on_loop) noexcept;

 private:
  struct Chunk {
    std::array<uv_poll_t, SlotTable<Watch>::kChunkSize> polls;  // first: owner_of() counts on it
    Polls *owner;
  };

  static Polls &owner_of(uv_poll_t *poll, const Watch &watch) noexcept;
  static void on_poll(uv_poll_t *poll, int status, int uv_events);
  static void on_closed(uv_handle_t *handle);

  void reconcile(Watch &watch) noexcept;
  void arm(Watch &watch, int armed) noexcept;
  int try_arm(Watch &watch, int armed) noexcept;
  int find_kind(Watch &watch) noexcept;
  int open_poll(Watch &watch) noexcept;
  int list_always_ready(Watch &watch) noexcept;
  void put_off(Watch &watch) noexcept;
  void stop(Watch &watch) noexcept;
  void settle(Watch &watch, int uv_events) noexcept;
  bool mute(Watch &watch) noexcept;
  int true_events(Watch &watch, int status, int uv_events) noexcept;
  void close_poll(Watch &watch) noexcept;
  void close_duplicate(Watch &watch) noexcept;
  void make_dirty_again(Watch &watch) noexcept;
  void forget(Watch &watch) noexcept;
  uv_poll_t *poll_of(const Watch &watch) const noexcept;

  uv_loop_t *loop_;
  Watches &watches_;
  Waker &waker_;
  HandleCount &handles_;
  StandIn stand_in_;
  std::array<std::unique_ptr<Chunk>, SlotTable<Watch>::kChunks> chunks_;
  SlotQueue<Watch> put_off_;  // dirty, but not in the dirty list: nobody else pushes them
  std::uint64_t retry_due_ = kNever;
  bool retrying_ = false;
  std::vector<Watch *> always_ready_;  // armed for READABLE or WRITABLE; nullptr: released since the last look
};

}  // namespace virt_uv
