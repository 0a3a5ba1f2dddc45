// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Withholds from the kernel what is armed and not wanted, from any thread: epoll is asked for less than libuv believes,
// and libuv's handle stays as it is.
//
// A remote call takes READABLE off its socket, and the reply comes while it is off. To leave the socket armed then
// ("lazy", core/watch_state.hpp) wakes the loop for each reply, and to disarm it wakes the loop for each update that
// puts READABLE back. So a socket that got an event which was not wanted, or has WRITABLE armed in vain, is "direct"
// from then on: the thread that changes its mask tells the kernel itself, by one system call, and the loop sleeps on.
// What is armed stays, so that WRITABLE, which a client's send and a daemon's reply put on and take off again, is
// libuv's to know once.
//
// The kernel reports POLLERR and POLLHUP all the same. Of a socket, libuv tells them by a status and by UV_DISCONNECT:
// either makes libuv start the handle anew (Polls::true_events), and ends this.
#pragma once

#include "core/mutex.hpp"
#include "core/watches.hpp"

namespace virt_uv::loop {

class KernelMask {
 public:
  // Any thread, after a change of the watch's mask: brings the kernel in line with it.
  void bring_in_line(core::Watch &watch, int id) noexcept;

  // --- The loop's thread ---

  // Between the two there is a loop, with this epoll instance.
  void open(int epoll_fd) noexcept;
  void close() noexcept { open(-1); }

  // For an event that is not wanted: it came before the kernel was told, or libuv has put all that is armed into epoll
  // since. False: the watch is not direct, or not in epoll.
  bool tell_again(core::Watch &watch, int id) noexcept;

  // Withholds what is wanted too, until the next bring_in_line(). False: not direct, not in epoll, or another thread
  // has changed the mask since the watch was dispatched.
  bool withhold_all(core::Watch &watch, int id) noexcept;

  // The watch is not direct any more: libuv tells the kernel all that is armed, or nothing. When this returns, no other
  // thread is at the watch's fd, so it may be closed.
  void leave_to_libuv(core::Watch &watch) noexcept;

  // For fork(): see api/fork.cpp.
  core::Mutex &mutex() noexcept VIRT_UV_RETURNS(mutex_) { return mutex_; }

 private:
  bool may_tell(const core::WatchWord &word, int id) const noexcept VIRT_UV_REQUIRES(mutex_);
  bool tell(core::Watch &watch, const core::WatchWord &word, int withheld) noexcept VIRT_UV_REQUIRES(mutex_);

  core::Mutex mutex_;  // guards Watch::withheld too
  int epoll_fd_ VIRT_UV_GUARDED_BY(mutex_) = -1;
};

}  // namespace virt_uv::loop
