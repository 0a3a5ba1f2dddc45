// SPDX-License-Identifier: LGPL-2.1-or-later
#include "waker.hpp"

#include "counters.hpp"
#include "log.hpp"

namespace virt_uv {
namespace {

bool is_closing(const uv_check_t *check) noexcept {
  return uv_is_closing(reinterpret_cast<const uv_handle_t *>(check)) != 0;
}

}  // namespace

// The caller holds mutex_.
bool Waker::is_open() const noexcept { return wake_fd_ != nullptr && !is_closing(check_); }

bool Waker::has_loop() noexcept {
  Lock lock(mutex_);
  return is_open();
}

void Waker::take_thread() noexcept {
  Lock lock(mutex_);
  loops_thread_.store(pthread_self(), std::memory_order_relaxed);
}

bool Waker::inside() const noexcept {
  return pthread_equal(inside_.load(std::memory_order_relaxed), pthread_self()) != 0;
}

void Waker::wake() noexcept {
  if (inside() && remind()) return;
  if (!sent_.exchange(true, std::memory_order_acq_rel)) send();  // model: WAKE_SENT
}

bool Waker::remind() noexcept {
  if (is_closing(check_)) return false;
  uv_check_start(check_, on_check_);
  return true;
}

void Waker::send() noexcept {
  bool closed_by_host = false;
  {
    Lock lock(mutex_);
    if (wake_fd_ == nullptr) return;
    closed_by_host = is_closing(check_);
    if (closed_by_host)
      wake_fd_ = nullptr;
    else
      wake_fd_->write();  // model: WAKE_SEND
  }
  if (closed_by_host)
    log::error(
        "the host has closed virt-uv's handles: libvirt's events have stopped; call virt_uv_detach and attach again");
  else
    counters.wakeups.raise();
}

void Waker::acknowledge() noexcept {
  // model: ACKNOWLEDGE
  if (is_sent()) sent_.exchange(false, std::memory_order_acq_rel);
}

void Waker::open(WakeFd *wake_fd, uv_check_t *check, uv_check_cb on_check) noexcept {
  Lock lock(mutex_);
  check_ = check;
  on_check_ = on_check;
  wake_fd_ = wake_fd;  // model: ATTACH
  loops_thread_.store(pthread_self(), std::memory_order_relaxed);
  // An exchange, as in acknowledge(): who found it sent before is taken after.
  sent_.exchange(false, std::memory_order_acq_rel);
}

void Waker::close() noexcept {
  leave();
  Lock lock(mutex_);
  wake_fd_ = nullptr;  // model: DETACH
}

}  // namespace virt_uv
