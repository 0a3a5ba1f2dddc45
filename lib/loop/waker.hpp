// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sees to it that a reconcile follows when something is dirty, before the loop sleeps, at no more cost than needed.
//
// In the loop's own calls to the library, on its thread ("in a callback"), starting the uv_check_t will do: the loop
// comes to it in the same iteration, and does not sleep before. From anywhere else the loop is woken, unless a wake-up
// is sent already: one serves all that becomes dirty until the loop's thread acknowledges it, which it does before it
// takes the dirty lists.
//
// The host's own code on the loop's thread is not in a callback: nothing is known of what follows it. Its prepare
// callbacks, say, may run after ours, with the loop's sleep next. And libuv's memory is written in the loop's own calls
// only: outside them, the host may be about to run the loop on another thread.
//
// A wake-up is an eventfd of the library's own, which the loop polls. Not a uv_async_t: uv_async_send() writes to an
// eventfd too, but has a second step behind that, for which the loop's thread spins (uv__async_spin in libuv's
// src/unix/async.c); and a writer that wakes a sleeping thread often loses its core to it just then. Measured: of 21 us
// that a remote call cost the loop's thread, 9.
//
// A loop that does not run is noticed by the threads that have work for it, as nothing of the library's runs then: who
// finds a wake-up sent that nobody has taken for ten seconds warns of it, once.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>

#include "core/context.hpp"
#include "core/mutex.hpp"
#include "core/thread_id.hpp"

namespace virt_uv::loop {

// What the loop has of the waker's: the eventfd with its poll handle, and the check handle.
struct WakeHandles {
  int fd = -1;
  uv_poll_t *poll = nullptr;
  uv_check_t *check = nullptr;
  uv_check_cb on_check = nullptr;
};

class Waker {
 public:
  explicit Waker(core::Context &context) noexcept : context_(context) {}

  // Any thread, after something was made dirty.
  void wake() noexcept;

  // Any thread: did it run the loop last, or attach it?
  bool is_loop_thread() const noexcept {
    return core::current_thread() == loop_thread_.load(std::memory_order_relaxed);
  }

  // Any thread: is this the loop's thread, in one of the loop's calls to the library?
  bool in_callback() const noexcept {
    return is_open_.load(std::memory_order_relaxed) && context_.calls.is_entered() && is_loop_thread() &&
           context_.calls.has_entered_caller();
  }

  // Any thread: is another thread in one of the loop's calls to the library?
  bool is_called_elsewhere() const noexcept {
    return is_open_.load(std::memory_order_relaxed) && context_.calls.is_entered() && !is_loop_thread();
  }

  // Any thread: calls fn() if there is a loop, and this is the thread that last ran it, or attached it. Until fn() has
  // returned, no other thread that runs the loop gets into any call to the library, and so none to the poll phase,
  // which comes after our prepare.
  template <typename Fn>
  void if_loop_thread(Fn &&fn) {
    if (!is_loop_thread()) return;
    core::Lock lock(mutex_);
    if (is_loop_thread() && has_handles()) fn();
  }

  // Any thread: is there a loop, with our handles on it?
  bool has_loop() noexcept;

  // Any thread: has the host closed our handles on a loop that nobody has detached?
  bool is_lost() noexcept;

  // --- The loop's thread only ---

  // First in each iteration, before any call of ours that touches libuv: the thread may change between two runs.
  void find_thread() noexcept {
    if (__builtin_expect(!is_loop_thread(), 0)) take_thread();
  }

  // The check of this iteration reconciles; or, where a callback leaves by longjmp before, the next prepare.
  void request_check() noexcept;

  // Has anything been requested, or a wake-up been sent, that was not acknowledged?
  bool has_request() const noexcept { return is_check_requested_ || sent_.load(std::memory_order_relaxed); }

  // What was made dirty before is taken after.
  void acknowledge() noexcept;

  // From open() to close() there is a loop to wake. Nothing is written to the eventfd after close() has returned.
  void open(const WakeHandles &handles) noexcept;
  void close() noexcept;

  // For fork(): see api/fork.cpp.
  core::Mutex &mutex() noexcept VIRT_UV_RETURNS(mutex_) { return mutex_; }

 private:
  bool has_handles() const noexcept VIRT_UV_REQUIRES(mutex_);
  void take_thread() noexcept;
  void send() noexcept;
  void warn_if_late() noexcept;

  static constexpr std::uint64_t kNotSent = 0;
  static constexpr std::uint64_t kLateMs = 10'000;

  core::Context &context_;
  std::atomic<bool> sent_{false};
  std::atomic<std::uint64_t> sent_at_ms_{kNotSent};  // until it is acknowledged, or has been warned of
  std::atomic<bool> is_open_{false};
  std::atomic<core::ThreadId> loop_thread_{core::kNoThread};  // written under mutex_
  bool is_check_requested_ = false;                           // the loop's thread only
  uv_check_t *check_ = nullptr;                               // the same
  uv_check_cb on_check_ = nullptr;                            // the same
  core::Mutex mutex_;
  int wake_fd_ VIRT_UV_GUARDED_BY(mutex_) = -1;
  bool has_told_loss_ VIRT_UV_GUARDED_BY(mutex_) = false;
  const uv_poll_t *wake_poll_ VIRT_UV_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace virt_uv::loop
