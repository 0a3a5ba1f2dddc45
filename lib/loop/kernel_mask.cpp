// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/kernel_mask.hpp"

#include <sys/epoll.h>

#include "loop/fd_kind.hpp"

namespace virt_uv::loop {

using core::FdKind;
using core::kReadWrite;
using core::Lock;
using core::Watch;
using core::WatchWord;

namespace {

int armed_of(const WatchWord &word) noexcept { return word.armed() & kReadWrite; }
int unwanted_of(const WatchWord &word) noexcept { return armed_of(word) & ~word.wanted(); }

}  // namespace

void KernelMask::open(int epoll_fd) noexcept {
  Lock lock(mutex_);
  epoll_fd_ = epoll_fd;
}

bool KernelMask::may_tell(const WatchWord &word, int id) const noexcept {
  return epoll_fd_ >= 0 && word.is_live_as(id) && word.has(WatchWord::kDirect);
}

bool KernelMask::tell(Watch &watch, const WatchWord &word, int withheld) noexcept {
  const int asked = armed_of(word) & ~withheld;
  epoll_event event{};
  event.events = asked == 0 ? 0 : epoll_events(uv_events_for(asked, FdKind::kSocket));
  event.data.fd = watch.dup.load(std::memory_order_relaxed);
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, event.data.fd, &event) < 0) return false;  // libuv is about to put it in
  watch.withheld = static_cast<unsigned char>(withheld);
  return true;
}

void KernelMask::bring_in_line(Watch &watch, int id) noexcept {
  Lock lock(mutex_);  // model: FOLLOW
  for (;;) {
    const WatchWord word = watch.state.load();
    const int unwanted = unwanted_of(word);
    if (!may_tell(word, id) || unwanted == watch.withheld || !tell(watch, word, unwanted)) return;
  }
}

bool KernelMask::tell_again(Watch &watch, int id) noexcept {
  Lock lock(mutex_);  // model: TELL_AGAIN
  const WatchWord word = watch.state.load();
  return may_tell(word, id) && tell(watch, word, unwanted_of(word));
}

bool KernelMask::withhold_all(Watch &watch, int id) noexcept {
  Lock lock(mutex_);  // model: REST
  const WatchWord word = watch.state.load();
  return may_tell(word, id) && !word.has(WatchWord::kElsewhere) && tell(watch, word, armed_of(word));
}

void KernelMask::leave_to_libuv(Watch &watch) noexcept {
  if (!watch.state.load_relaxed().has(WatchWord::kDirect)) return;
  Lock lock(mutex_);
  watch.state.end_direct();
  watch.withheld = 0;
}

}  // namespace virt_uv::loop
