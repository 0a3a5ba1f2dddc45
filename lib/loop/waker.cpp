// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/waker.hpp"

#include <sys/eventfd.h>

#include "core/clock.hpp"
#include "core/no_cancel.hpp"
#include "core/probes.hpp"
#include "loop/handles.hpp"

namespace virt_uv::loop {

using core::coarse_milliseconds_now;
using core::Lock;

// uv_is_closing() reads a word of the handle that changes once only, when the handle is closed.
bool Waker::has_handles() const noexcept { return wake_fd_ >= 0 && !is_closing(*wake_poll_); }

bool Waker::has_loop() noexcept {
  Lock lock(mutex_);
  return has_handles();
}

bool Waker::is_lost() noexcept {
  Lock lock(mutex_);
  return wake_fd_ >= 0 && !has_handles();
}

void Waker::take_thread() noexcept {
  Lock lock(mutex_);
  loop_thread_.store(core::current_thread(), std::memory_order_relaxed);
}

void Waker::wake() noexcept {
  if (in_callback()) return request_check();
  if (!sent_.exchange(true, std::memory_order_acq_rel)) return send();  // model: WAKE_SENT
  warn_if_late();
}

// The wake-up was sent by another call, perhaps long ago.
void Waker::warn_if_late() noexcept {
  std::uint64_t since = sent_at_ms_.load(std::memory_order_relaxed);
  if (since == kNotSent || coarse_milliseconds_now() < since + kLateMs) return;
  if (!is_open_.load(std::memory_order_relaxed)) return;
  if (!sent_at_ms_.compare_exchange_strong(since, kNotSent, std::memory_order_relaxed)) return;
  context_.log.warn(
      "the loop has not run for {} s, and libvirt has work for it: something blocks it, or nobody runs it",
      kLateMs / 1000);
}

void Waker::request_check() noexcept {
  is_check_requested_ = true;
  if (!is_closing(*check_)) uv_check_start(check_, on_check_);  // else prepare notices that the host has closed it
}

void Waker::send() noexcept {
  VIRT_UV_PROBE(wake);
  sent_at_ms_.store(coarse_milliseconds_now(), std::memory_order_relaxed);
  bool is_lost = false;
  {
    core::NoCancel no_cancel;
    Lock lock(mutex_);
    if (wake_fd_ < 0 || has_told_loss_) return;
    is_lost = has_told_loss_ = is_closing(*wake_poll_);
    if (!is_lost) eventfd_write(wake_fd_, 1);  // model: WAKE_SEND. Fails only where the loop is woken already
  }
  if (is_lost)
    context_.log.error(
        "the host has closed virt-uv's handles: libvirt's events have stopped; call virt_uv_detach and attach again");
  else
    context_.counters.wakeups.increment();
}

void Waker::acknowledge() noexcept {
  is_check_requested_ = false;
  if (!sent_.load(std::memory_order_relaxed)) return;
  sent_at_ms_.store(kNotSent, std::memory_order_relaxed);  // before the next one is sent
  sent_.exchange(false, std::memory_order_acq_rel);        // model: ACKNOWLEDGE
}

void Waker::open(const WakeHandles &handles) noexcept {
  check_ = handles.check;
  on_check_ = handles.on_check;
  is_check_requested_ = false;
  context_.calls.begin_iteration();  // a callback may attach: what runs now was of the loop before
  Lock lock(mutex_);
  wake_fd_ = handles.fd;  // model: ATTACH
  has_told_loss_ = false;
  wake_poll_ = handles.poll;
  is_open_.store(true, std::memory_order_relaxed);
  loop_thread_.store(core::current_thread(), std::memory_order_relaxed);
  sent_at_ms_.store(kNotSent, std::memory_order_relaxed);
  // An exchange, as in acknowledge(): the thread that found it sent before is taken after.
  sent_.exchange(false, std::memory_order_acq_rel);
}

void Waker::close() noexcept {
  Lock lock(mutex_);
  is_open_.store(false, std::memory_order_relaxed);
  wake_fd_ = -1;  // model: DETACH
}

}  // namespace virt_uv::loop
