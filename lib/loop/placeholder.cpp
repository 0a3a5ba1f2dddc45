// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/placeholder.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace virt_uv::loop {
namespace {

// Puts the file of `from` behind the open number `to`.
int put(int from, int to) noexcept { return dup3(from, to, O_CLOEXEC) < 0 ? uv_translate_sys_error(errno) : 0; }

}  // namespace

void Placeholder::close() noexcept {
  for (int *fd : {&placeholder_, &second_}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
}

int Placeholder::open() noexcept {
  placeholder_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (placeholder_ < 0) return uv_translate_sys_error(errno);
  second_ = fcntl(placeholder_, F_DUPFD_CLOEXEC, 3);
  return second_ < 0 ? uv_translate_sys_error(errno) : 0;
}

int Placeholder::init_poll(uv_loop_t *loop, uv_poll_t *poll, int fd) noexcept {
  if (const int err = put(fd, second_)) return err;
  int err = put(placeholder_, fd);
  if (err == 0) {
    err = uv_poll_init(loop, poll, fd);
    put(second_, fd);
  }
  put(placeholder_, second_);  // the second number must not keep the caller's file open
  return err;
}

void Placeholder::replace(int fd) noexcept { put(placeholder_, fd); }

}  // namespace virt_uv::loop
