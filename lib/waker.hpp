// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sees to it that a reconcile follows when something is dirty, before the loop sleeps, at no more cost than needed.
//
// On the loop's thread, in the loop's own calls to us ("inside"), starting our uv_check_t will do: the loop comes to it
// in the same iteration, and does not sleep before. From anywhere else the loop is woken, unless a wake-up is sent
// already: one serves all that becomes dirty until the loop's thread acknowledges it, which it does before it takes
// the dirty lists.
//
// The host's own code on the loop's thread is not inside: nothing is known of what follows it. Its prepare callbacks,
// say, may run after ours, with the loop's sleep next.
#pragma once

#include <pthread.h>
#include <uv.h>

#include <atomic>

#include "lock.hpp"
#include "wake_fd.hpp"

namespace virt_uv {

class Waker {
 public:
  // Any thread, after something was made dirty.
  void wake() noexcept;

  // Any thread: is this the loop's thread, inside one of the loop's calls to us?
  bool inside() const noexcept;

  // Any thread: calls fn() if there is a loop, and this is the thread that last ran it, or attached it. Until fn() has
  // returned, no other thread that runs the loop gets to any call of ours, and so none to the poll phase, which comes
  // after our prepare.
  template <typename Fn>
  void if_loops_thread(Fn &&fn) {
    if (!is_loops_thread()) return;
    Lock lock(mutex_);
    if (is_loops_thread() && is_open()) fn();
  }

  // Any thread: is there a loop, with our handles on it?
  bool has_loop() noexcept;

  // --- The loop's thread only ---

  // The check of this iteration reconciles. False: the host has closed our handles.
  bool remind() noexcept;

  // Was a wake-up sent that has not been acknowledged?
  bool is_sent() const noexcept { return sent_.load(std::memory_order_relaxed); }

  // What was made dirty before is taken after.
  void acknowledge() noexcept;

  // Once an iteration at least, before any call of ours that touches libuv: the thread may change between two runs.
  void find_thread() noexcept {
    if (__builtin_expect(!is_loops_thread(), 0)) take_thread();
  }

  // Around each of the loop's calls that may call out.
  void enter() noexcept { inside_.store(loops_thread_.load(std::memory_order_relaxed), std::memory_order_relaxed); }
  void leave() noexcept { inside_.store(pthread_t{}, std::memory_order_relaxed); }

  // From open() to close() there is a loop to wake. Nothing is written to `wake_fd` after close() has returned.
  void open(WakeFd *wake_fd, uv_check_t *check, uv_check_cb on_check) noexcept;
  void close() noexcept;

 private:
  bool is_loops_thread() const noexcept {
    return pthread_equal(loops_thread_.load(std::memory_order_relaxed), pthread_self()) != 0;
  }
  bool is_open() const noexcept;
  void take_thread() noexcept;
  void send() noexcept;

  std::atomic<bool> sent_{false};
  std::atomic<pthread_t> inside_{};        // the loop's thread, inside; else none
  std::atomic<pthread_t> loops_thread_{};  // written under mutex_
  Mutex mutex_;
  WakeFd *wake_fd_ = nullptr;    // guarded by mutex_; nullptr: there is no loop
  uv_check_t *check_ = nullptr;  // started on the loop's thread only
  uv_check_cb on_check_ = nullptr;
};

}  // namespace virt_uv
