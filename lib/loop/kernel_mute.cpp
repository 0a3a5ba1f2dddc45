// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/kernel_mute.hpp"

#include <sys/epoll.h>

#include "loop/fd_kind.hpp"

namespace virt_uv::loop {

using core::FdKind;
using core::Lock;
using core::Watch;
using core::WatchWord;

void KernelMute::open(int epoll_fd) noexcept {
  Lock lock(mutex_);
  epoll_fd_ = epoll_fd;
}

bool KernelMute::bring_in_line(Watch &watch, int id) noexcept {
  Lock lock(mutex_);  // model: FOLLOW
  bool changed = false;
  while (epoll_fd_ >= 0) {
    const WatchWord word = watch.state.load();
    if (!word.is_live_as(id) || !word.has(WatchWord::kDirect) || word.armed() == 0) break;
    const bool mute = word.wanted() == 0;
    if (mute == watch.muted) break;
    epoll_event event{};
    event.events = mute ? 0 : epoll_events(uv_events_for(word.armed(), FdKind::kSocket));
    event.data.fd = watch.dup.load(std::memory_order_relaxed);
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, event.data.fd, &event) < 0) break;  // libuv is about to put it in
    watch.muted = mute;
    changed = true;
  }
  return changed;
}

void KernelMute::leave_to_libuv(Watch &watch) noexcept {
  if (!watch.state.load_relaxed().has(WatchWord::kDirect)) return;
  Lock lock(mutex_);
  watch.state.end_direct();
  watch.muted = false;
}

}  // namespace virt_uv::loop
