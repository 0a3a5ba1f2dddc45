// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What wakes the loop: an eventfd that it polls, and any thread may write to.
//
// Not a uv_async_t. uv_async_send() writes to an eventfd too, but has a second step behind that, for which the loop's
// thread spins (uv__async_spin in libuv's src/unix/async.c); and a writer that wakes a sleeper often loses its core to
// him just then. Measured: of 21 us that a remote call cost the loop's thread, 9.
#pragma once

#include <uv.h>

namespace virt_uv {

class WakeFd {
 public:
  WakeFd() = default;
  WakeFd(const WakeFd &) = delete;
  WakeFd &operator=(const WakeFd &) = delete;
  ~WakeFd() { close(); }

  // 0, UV_EMFILE, UV_ENFILE or UV_ENOMEM.
  int open() noexcept;
  // Not before the loop has let go of it.
  void close() noexcept;

  int get() const noexcept { return fd_; }

  // Any thread, while it is open.
  void write() noexcept;
  // The loop's thread: what was written so far is taken.
  void read() noexcept;

 private:
  int fd_ = -1;
};

}  // namespace virt_uv
