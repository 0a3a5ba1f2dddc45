// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Mutes a watch in the kernel and back, from any thread: in epoll its fd then asks for nothing, while libuv's handle
// stays as it is.
//
// A remote call takes READABLE off its socket, and the reply comes while it is off. To leave the socket armed then
// ("lazy", core/watch_state.hpp) wakes the loop for each reply, and to disarm it wakes the loop for each update that
// puts READABLE back. So a socket that got an event which was not wanted is "direct" from then on: the thread that
// changes its mask to 0 or from 0 tells the kernel itself, by one system call, and the loop sleeps on.
//
// The kernel reports POLLERR and POLLHUP all the same; they are dropped, and the watch disarmed (Polls::narrow).
#pragma once

#include "core/mutex.hpp"
#include "core/watches.hpp"

namespace virt_uv::loop {

class KernelMute {
 public:
  // Any thread, after a change of the watch's mask: brings the kernel in line with it. Did this call change anything
  // there?
  bool bring_in_line(core::Watch &watch, int id) noexcept;

  // --- The loop's thread ---

  // Between the two there is a loop, with this epoll instance.
  void open(int epoll_fd) noexcept;
  void close() noexcept { open(-1); }

  // The watch is not direct any more: libuv tells the kernel all that is armed, or nothing. When this returns, no other
  // thread is at the watch's fd, so it may be closed.
  void leave_to_libuv(core::Watch &watch) noexcept;

  // For fork(): see api/fork.cpp.
  core::Mutex &mutex() noexcept VIRT_UV_RETURNS(mutex_) { return mutex_; }

 private:
  core::Mutex mutex_;  // guards Watch::muted too
  int epoll_fd_ VIRT_UV_GUARDED_BY(mutex_) = -1;
};

}  // namespace virt_uv::loop
