// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A file of the library's own that takes the place of the caller's file behind a duplicate's number: so a uv_poll_t is
// initialised without touching that file, and a number that libuv still knows is kept when the file has to go: for a
// moment, or until the next watch gets its handle (core/watches.hpp).
//
// uv_poll_init() sets O_NONBLOCK, a flag of the file description, which the duplicate shares with the caller's fd, and
// with every other process that has it open (think of stdin). So while libuv initialises a handle, the placeholder
// stands behind the number; libuv puts nothing else of it to use (uv__io_check_fd takes it out of epoll again), and the
// caller's file is back there before the handle is started. Two fds are kept for it, so the exchange needs no free one
// and can't fail for want of it.
#pragma once

#include <uv.h>

namespace virt_uv::loop {

class Placeholder {
 public:
  Placeholder() = default;
  Placeholder(const Placeholder &) = delete;
  Placeholder &operator=(const Placeholder &) = delete;
  ~Placeholder() { close(); }

  // 0, UV_EMFILE, UV_ENFILE or UV_ENOMEM.
  int open() noexcept;
  void close() noexcept;

  // No other thread uses the number `fd`. 0 or uv_poll_init()'s error.
  int init_poll(uv_loop_t *loop, uv_poll_t *poll, int fd) noexcept;

  // Puts the placeholder behind `fd` for good, which closes the file that was there.
  void replace(int fd) noexcept;

 private:
  int placeholder_ = -1;  // an eventfd
  int second_ = -1;       // another number for it; holds the caller's file during the exchange
};

}  // namespace virt_uv::loop
