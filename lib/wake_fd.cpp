// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wake_fd.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace virt_uv {

int WakeFd::open() noexcept {
  fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd_ < 0 ? uv_translate_sys_error(errno) : 0;
}

void WakeFd::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

// Neither can fail but where there is nothing to do: the loop is woken already, or nothing was written.
void WakeFd::write() noexcept { eventfd_write(fd_, 1); }

void WakeFd::read() noexcept {
  eventfd_t ignored;
  eventfd_read(fd_, &ignored);
}

}  // namespace virt_uv
