// SPDX-License-Identifier: LGPL-2.1-or-later
//
// For ThreadSanitizer. libuv closes its fds by the bare system call, which ThreadSanitizer does not see: it takes the
// next who gets the number for one who shares the fd, and his close for a race with whoever made the first. So it is
// not shown the making of those fds either: the program's functions come before ThreadSanitizer's.
#if defined(__SANITIZE_THREAD__)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" int epoll_create1(int flags) noexcept { return static_cast<int>(syscall(SYS_epoll_create1, flags)); }
extern "C" int eventfd(unsigned value, int flags) noexcept {
  return static_cast<int>(syscall(SYS_eventfd2, value, flags));
}
extern "C" int pipe2(int fds[2], int flags) noexcept { return static_cast<int>(syscall(SYS_pipe2, fds, flags)); }
#endif
