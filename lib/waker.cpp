// SPDX-License-Identifier: LGPL-2.1-or-later
#include "waker.hpp"

#include "counters.hpp"
#include "log.hpp"

namespace virt_uv {

bool Waker::has_loop() noexcept {
  Lock lock(mutex_);
  return async_ != nullptr && uv_is_closing(reinterpret_cast<uv_handle_t *>(async_)) == 0;
}

void Waker::enter_phase() noexcept {
  if (!is_loops_thread()) {
    Lock lock(mutex_);
    loops_thread_.store(pthread_self(), std::memory_order_relaxed);
  }
  enter_call();
}

bool Waker::inside() const noexcept {
  return pthread_equal(inside_.load(std::memory_order_relaxed), pthread_self()) != 0;
}

void Waker::wake() noexcept {
  if (inside()) return;
  if (!sent_.exchange(true, std::memory_order_acq_rel)) send();  // model: WAKE_SENT
}

void Waker::send() noexcept {
  bool closed_by_host = false;
  {
    Lock lock(mutex_);
    if (async_ == nullptr) return;
    closed_by_host = uv_is_closing(reinterpret_cast<uv_handle_t *>(async_)) != 0;
    if (closed_by_host)
      async_ = nullptr;
    else
      uv_async_send(async_);  // model: WAKE_SEND
  }
  if (closed_by_host)
    log::error(
        "the host has closed virt-uv's handles: libvirt's events have stopped; call virt_uv_detach and attach again");
  else
    counters.wakeups.raise();
}

void Waker::acknowledge() noexcept {
  // model: ACKNOWLEDGE
  if (sent_.load(std::memory_order_relaxed)) sent_.exchange(false, std::memory_order_acq_rel);
}

void Waker::open(uv_async_t *async) noexcept {
  Lock lock(mutex_);
  async_ = async;  // model: ATTACH
  loops_thread_.store(pthread_self(), std::memory_order_relaxed);
  // An exchange, as in acknowledge(): who found it sent before is taken after.
  sent_.exchange(false, std::memory_order_acq_rel);
}

void Waker::close() noexcept {
  leave();
  Lock lock(mutex_);
  async_ = nullptr;  // model: DETACH
}

}  // namespace virt_uv
