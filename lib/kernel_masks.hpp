// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Mutes a watch in the kernel and back, from any thread: in epoll its fd then asks for nothing, while libuv's handle
// stays as it is.
//
// A remote call takes READABLE off its socket, and the reply comes while it is off. To leave the socket armed then
// ("lazy", watch.hpp) wakes the loop for each reply, and to disarm it wakes the loop for each update that puts READABLE
// back. So a socket that got an event nobody wanted is "direct" from then on: who changes its mask to 0 or from 0 tells
// the kernel himself, by one system call, and the loop sleeps on.
//
// The kernel has POLLERR and POLLHUP come even so; they are dropped, and the watch disarmed (Polls::settle).
#pragma once

#include "lock.hpp"

namespace virt_uv {

struct Watch;

class KernelMasks {
 public:
  // Any thread, after a change of the watch's mask: has the kernel follow it. Did this call change anything there?
  bool follow(Watch &watch, int id) noexcept;

  // --- The loop's thread ---

  // Between the two there is a loop, with this epoll instance.
  void open(int epoll_fd) noexcept;
  void close() noexcept { open(-1); }

  // The watch is not direct any more: libuv tells the kernel all that is armed, or nothing. When this returns, no other
  // thread is at the watch's fd, so it may be closed.
  void leave_to_libuv(Watch &watch) noexcept;

 private:
  Mutex mutex_;
  int epoll_fd_ = -1;  // guarded by mutex_, as Watch::muted is
};

}  // namespace virt_uv
