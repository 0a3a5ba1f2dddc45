// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stand_in.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace virt_uv {
namespace {

// Puts the file of `from` behind the open number `to`.
int put(int from, int to) noexcept { return dup3(from, to, O_CLOEXEC) < 0 ? uv_translate_sys_error(errno) : 0; }

}  // namespace

void StandIn::close() noexcept {
  for (int *fd : {&stand_in_, &shelf_}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
}

int StandIn::open() noexcept {
  stand_in_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stand_in_ < 0) return uv_translate_sys_error(errno);
  shelf_ = fcntl(stand_in_, F_DUPFD_CLOEXEC, 3);
  return shelf_ < 0 ? uv_translate_sys_error(errno) : 0;
}

int StandIn::init_poll(uv_loop_t *loop, uv_poll_t *poll, int fd) noexcept {
  if (const int err = put(fd, shelf_)) return err;
  int err = put(stand_in_, fd);
  if (err == 0) {
    err = uv_poll_init(loop, poll, fd);
    put(shelf_, fd);
  }
  put(stand_in_, shelf_);  // the shelf must not keep the caller's file open
  return err;
}

void StandIn::replace(int fd) noexcept { put(stand_in_, fd); }

}  // namespace virt_uv
