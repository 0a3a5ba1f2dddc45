// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Wakes the loop when something is dirty, no more often than needed.
//
// Two things make a wake-up needless. In the loop's own calls to us ("inside") a reconcile follows before the loop can
// sleep: at the end of the call, or in the uv_check of the same iteration. And once a wake-up is sent, it serves all
// that becomes dirty until the loop's thread acknowledges it, which it does before it takes the dirty lists.
//
// The host's own code on the loop's thread is not inside: nothing is known of what follows it. Its prepare callbacks,
// say, may run after ours, with the loop's sleep next.
#pragma once

#include <pthread.h>
#include <uv.h>

#include <atomic>

#include "lock.hpp"

namespace virt_uv {

class Waker {
 public:
  // Any thread, after something was made dirty.
  void wake() noexcept;

  // Any thread: is this the loop's thread, inside one of the loop's calls to us?
  bool inside() const noexcept;

  // Any thread: calls fn() if this is the thread that last ran the loop, or attached it, and keeps another from
  // becoming that meanwhile. Handles are that thread's alone to touch.
  template <typename Fn>
  void if_loops_thread(Fn &&fn) {
    if (!is_loops_thread()) return;
    Lock lock(mutex_);
    if (is_loops_thread()) fn();
  }

  // Any thread: is there a loop, with our handles on it?
  bool has_loop() noexcept;

  // --- The loop's thread only ---

  // What was made dirty before is taken after.
  void acknowledge() noexcept;

  // The thread that runs the loop may change between two runs: a phase that comes once an iteration finds out which it
  // is.
  void enter_phase() noexcept;
  // For a call in the poll phase, of which there may be thousands.
  void enter_call() noexcept {
    inside_.store(loops_thread_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  void leave() noexcept { inside_.store(pthread_t{}, std::memory_order_relaxed); }

  // From open() to close() there is a loop to wake. No uv_async_send() begins after close() has returned.
  void open(uv_async_t *async) noexcept;
  void close() noexcept;

 private:
  bool is_loops_thread() const noexcept {
    return pthread_equal(loops_thread_.load(std::memory_order_relaxed), pthread_self()) != 0;
  }
  void send() noexcept;

  std::atomic<bool> sent_{false};
  std::atomic<pthread_t> inside_{};        // the loop's thread, inside; else none
  std::atomic<pthread_t> loops_thread_{};  // written under mutex_
  Mutex mutex_;
  uv_async_t *async_ = nullptr;  // guarded by mutex_
};

}  // namespace virt_uv
