// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kernel_masks.hpp"

#include <sys/epoll.h>

#include "watch.hpp"

namespace virt_uv {
namespace {

// What uv_poll_start() makes of these: the kernel must not tell libuv of more than it asked for.
std::uint32_t epoll_events(int uv_events) noexcept {
  std::uint32_t events = 0;
  if ((uv_events & UV_READABLE) != 0) events |= EPOLLIN;
  if ((uv_events & UV_WRITABLE) != 0) events |= EPOLLOUT;
  if ((uv_events & UV_DISCONNECT) != 0) events |= EPOLLRDHUP;
  if ((uv_events & UV_PRIORITIZED) != 0) events |= EPOLLPRI;
  return events;
}

}  // namespace

void KernelMasks::open(int epoll_fd) noexcept {
  Lock lock(mutex_);
  epoll_fd_ = epoll_fd;
}

bool KernelMasks::follow(Watch &watch, int id) noexcept {
  Lock lock(mutex_);  // model: FOLLOW
  bool changed = false;
  while (epoll_fd_ >= 0) {
    const std::uint64_t word = watch.word.load(std::memory_order_acquire);
    if (!is(word, id) || (word & kDirect) == 0 || armed_of(word) == 0) break;
    const bool mute = wanted_of(word) == 0;
    if (mute == watch.muted) break;
    epoll_event event{};
    event.events = mute ? 0 : epoll_events(uv_events_for(armed_of(word), FdKind::kSocket));
    event.data.fd = watch.dup.load(std::memory_order_relaxed);
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, event.data.fd, &event) < 0) break;  // libuv is about to put it in
    watch.muted = mute;
    changed = true;
  }
  return changed;
}

void KernelMasks::leave_to_libuv(Watch &watch) noexcept {
  if ((watch.word.load(std::memory_order_relaxed) & kDirect) == 0) return;
  Lock lock(mutex_);
  watch.word.fetch_and(~kDirect, std::memory_order_acq_rel);
  watch.muted = false;
}

}  // namespace virt_uv
