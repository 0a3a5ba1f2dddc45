// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library's handles on one loop, and what runs in each phase of its iteration. The loop's thread only. One lives
// from attach until its last handle has closed.
//
//     timers    uv_timer_t    timeouts that are due
//     idle      uv_idle_t     timeouts of frequency 0; while it is active, the loop does not sleep
//     prepare   uv_prepare_t  who is the loop's thread? Reconcile, where a wake-up was sent
//     poll      uv_poll_t     watches (polls.hpp); a wake-up (wake_fd.hpp), after which check reconciles
//     check     uv_check_t    always-ready fds; reconcile, frees, reconcile: what dispatch has changed holds from the
//                             next iteration on. Started only when there is such work
//
// Always-ready fds are dispatched behind the poll, as others are in it: so a watch that their callback adds fires from
// the next iteration on, and one that is enabled in this one fires in it.
//
// Check is always reached before the loop sleeps on what our calls have changed: timers reconcile by themselves, and
// while idle calls out, or frees wait, the idle handle keeps the loop awake (uv_check alone neither wakes a loop nor
// keeps it awake). Frees run there because the stack is clean: no callback of libvirt's is below.
//
// None of the handles counts for uv_run(), but uv_prepare_t stands for all that is registered.
#pragma once

#include <cstdint>

#include "drains.hpp"
#include "handle_count.hpp"
#include "polls.hpp"
#include "timeout.hpp"
#include "wake_fd.hpp"
#include "waker.hpp"
#include "watch.hpp"

namespace virt_uv {

class Reconciler {
 public:
  struct Parts {
    Watches &watches;
    Timeouts &timeouts;
    Waker &waker;
    Drains &drains;
  };

  Reconciler(uv_loop_t *loop, const Parts &parts) noexcept;

  // 0, or an error with no handle on the loop: delete the object.
  int open(bool referenced) noexcept;

  // Closes every handle. When the last has closed, what was removed is freed and `closed(opaque)` called; the object is
  // the callee's to delete.
  void close(virt_uv_cb closed, void *opaque) noexcept;

  // Lets go without touching the loop, whose handles of ours the host has closed itself. The object must not be
  // deleted: libuv may hold them still. `earlier` is kept in reach through it.
  void abandon(Reconciler *earlier) noexcept;

  Polls &polls() noexcept { return polls_; }

  // Does what is registered keep uv_run() from returning?
  void set_referenced(bool referenced) noexcept;

  // Brings uv_run()'s view in line with what is registered.
  void set_alive() noexcept;

 private:
  static void on_timer(uv_timer_t *timer);
  static void on_idle(uv_idle_t *idle);
  static void on_prepare(uv_prepare_t *prepare);
  static void on_wake(uv_poll_t *poll, int status, int events);
  static void on_check(uv_check_t *check);
  static void on_closed(uv_handle_t *handle);
  static void on_none_left(void *self);

  template <typename Handle, typename Init, typename... Args>
  int init(Handle &handle, Init init, Args... args) noexcept;

  void reconcile() noexcept;
  void set_timer() noexcept;
  void set_check(bool active) noexcept;
  void set_idle(bool active) noexcept;
  void run_frees() noexcept;
  bool has_frees() const noexcept;
  bool is_drained() const noexcept;

  uv_loop_t *loop_;
  Watches &watches_;
  Timeouts &timeouts_;
  Waker &waker_;
  Drains &drains_;
  HandleCount handles_;
  Polls polls_;

  WakeFd wake_fd_;
  uv_poll_t wake_poll_{};
  uv_prepare_t prepare_{};
  uv_check_t check_{};
  uv_idle_t idle_{};
  uv_timer_t timer_{};

  std::uint64_t timer_due_ = kNever;
  bool idle_active_ = false;
  Reconciler *abandoned_before_ = nullptr;
  bool closing_ = false;
  bool referenced_ = true;  // as the host asked: virt_uv_ref(), virt_uv_unref()
  bool alive_ = true;       // prepare_ is ref'd
  virt_uv_cb closed_ = nullptr;
  void *closed_opaque_ = nullptr;
};

}  // namespace virt_uv
