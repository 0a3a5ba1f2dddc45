// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library's handles on one loop, and what runs in each phase of its iteration. The loop's thread only. One lives
// from attach until its last handle has closed.
//
//     timers    uv_timer_t    timeouts that are due
//     idle      uv_idle_t     timeouts of frequency 0; while it is active, the loop does not sleep
//     prepare   uv_prepare_t  who is the loop's thread? Reconcile, where that was requested
//     poll      uv_poll_t     watches (polls.hpp); a wake-up (waker.hpp), after which check reconciles
//     check     uv_check_t    always-ready fds; reconcile, frees, reconcile: what dispatch has changed holds from the
//                             next iteration on. Started only when there is such work
//
// That is the order up to libuv 1.44; from 1.45 on, timers come last. Nothing here depends on it.
//
// Always-ready fds are dispatched behind the poll, as others are in it: so a watch that their callback adds fires from
// the next iteration on, and one that is enabled in this one fires in it.
//
// Check is always reached before the loop sleeps on what our calls have changed: timers reconcile by themselves, and
// while idle calls out, or frees wait, the idle handle keeps the loop awake (uv_check alone neither wakes a loop nor
// keeps it awake). Frees run there because the stack is clean: no callback of libvirt is below. What must follow a
// callback is requested before it, as it may leave by longjmp; prepare then makes up for it.
//
// None of the handles counts for uv_run(), except that uv_prepare_t stands for all that is registered.
//
// The host may close handles that are not its own. Before a handle is used, its user looks whether it has been closed
// (is_lost()); prepare looks at those that are active, as nobody uses them. If one has, the loop is given up: the
// library's other handles on it are closed, and the object stays, as libuv may hold its handles.
#pragma once

#include <cstdint>

#include "core/context.hpp"
#include "core/drains.hpp"
#include "core/timeouts.hpp"
#include "core/watches.hpp"
#include "loop/handles.hpp"
#include "loop/kernel_mask.hpp"
#include "loop/polls.hpp"
#include "loop/waker.hpp"

namespace virt_uv::loop {

class Reconciler {
 public:
  struct Parts {
    core::Context &context;
    core::Watches &watches;
    core::Timeouts &timeouts;
    core::Drains &drains;
    KernelMask &kernel_mask;
    Waker &waker;
  };

  // Called on the loop's thread. Each may attach again.
  struct Callbacks {
    void (*closed)(void *opaque);  // the last handle has closed, and what was removed is freed; the object goes
    void (*lost)(void *opaque);    // the host had closed a handle, and the loop is given up; the object stays
    void *opaque;
  };

  Reconciler(uv_loop_t *loop, const Parts &parts, const Callbacks &callbacks) noexcept;
  ~Reconciler();
  Reconciler(const Reconciler &) = delete;
  Reconciler &operator=(const Reconciler &) = delete;

  // 0, or an error with no handle on the loop: delete the object.
  int open(bool referenced) noexcept;

  // Closes every handle, and goes when the last has closed.
  void close() noexcept;

  // Gives the loop up, if the host has closed a handle; `lost` is called then.
  bool abandon_if_lost() noexcept;

  Polls &polls() noexcept { return polls_; }

  // Does what is registered keep uv_run() from returning?
  void set_referenced(bool referenced) noexcept;

  // Brings uv_run()'s view in line with what is registered.
  void set_alive() noexcept;

  // At its end: is it in use besides? By libuv, for a handle that the host has closed; by a callback that runs the
  // loop; or one left it by longjmp, and then the object stays for good.
  bool is_still_in_use() const noexcept { return polls_.is_lost() || entries_ > 1; }

  // Those that stay are kept in reach, in a list, so that leak checkers know of them.
  void keep_in(Reconciler *&list) noexcept {
    kept_behind_ = list;
    list_ = &list;
    list = this;
  }

 private:
  class Entry;

  static void on_timer(uv_timer_t *timer);
  static void on_idle(uv_idle_t *idle);
  static void on_prepare(uv_prepare_t *prepare);
  static void on_wake(uv_poll_t *poll, int status, int events);
  static void on_check(uv_check_t *check);
  template <typename Handle>
  static void on_closed(uv_handle_t *handle);
  static void on_none_left(void *opaque);

  template <typename Handle, typename Init, typename... Args>
  int init(Owned<Handle, Reconciler *> &handle, Init init, Args... args) noexcept;

  bool is_lost() const noexcept;
  bool has_lost_active() const noexcept;
  void abandon() noexcept;
  bool is_barred() const noexcept { return context_.is_barred.load(std::memory_order_relaxed); }
  void reconcile() noexcept;
  void set_timer() noexcept;
  void set_check(bool active) noexcept;
  void set_idle(bool active) noexcept;
  void run_frees();
  bool has_frees() const noexcept;
  bool is_drained() const noexcept;
  void warn_of_drain() noexcept;

  uv_loop_t *loop_;
  core::Context &context_;
  core::Watches &watches_;
  core::Timeouts &timeouts_;
  core::Drains &drains_;
  Waker &waker_;
  Callbacks callbacks_;
  ClosingHandles closing_handles_;
  Polls polls_;

  int wake_fd_ = -1;
  Owned<uv_poll_t, Reconciler *> wake_poll_;
  Owned<uv_prepare_t, Reconciler *> prepare_;
  Owned<uv_check_t, Reconciler *> check_;
  Owned<uv_idle_t, Reconciler *> idle_;
  Owned<uv_timer_t, Reconciler *> timer_;

  std::uint64_t timer_due_ = core::kNever;
  bool idle_active_ = false;
  bool closing_ = false;
  bool is_finished_ = false;     // nothing refers to it but the calls that it is in
  unsigned entries_ = 0;         // those calls
  bool referenced_ = true;       // as the host asked: virt_uv_ref(), virt_uv_unref()
  bool alive_ = true;            // prepare_ is ref'd
  Reconciler **list_ = nullptr;  // that keeps it
  Reconciler *kept_behind_ = nullptr;
};

}  // namespace virt_uv::loop
