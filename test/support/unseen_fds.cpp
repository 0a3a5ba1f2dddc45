// SPDX-License-Identifier: LGPL-2.1-or-later
//
// For ThreadSanitizer. libuv closes its fds by the bare system call, which ThreadSanitizer does not see: it takes the
// next who gets the number for one who shares the fd, and his close for a race with whoever made the first, or told
// epoll of it, or gave it to epoll_ctl. So it is shown neither the making of those fds, nor calls of epoll_ctl: the
// program's functions come before ThreadSanitizer's. Of the library's own calls of epoll_ctl, on any thread, it is
// shown that the fd is in use then.
#if defined(__SANITIZE_THREAD__)
#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

namespace {

bool is_in_libuv(void *address) {
  Dl_info info;
  return dladdr(address, &info) != 0 && std::strstr(info.dli_fname, "/libuv.so") != nullptr;
}

}  // namespace

extern "C" int epoll_create1(int flags) noexcept { return static_cast<int>(syscall(SYS_epoll_create1, flags)); }
extern "C" int eventfd(unsigned value, int flags) noexcept {
  return static_cast<int>(syscall(SYS_eventfd2, value, flags));
}
extern "C" int pipe2(int fds[2], int flags) noexcept { return static_cast<int>(syscall(SYS_pipe2, fds, flags)); }
extern "C" int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event *event) noexcept {
  struct stat ignored;
  if (!is_in_libuv(__builtin_return_address(0))) fstat(fd, &ignored);  // is a use of the fd to ThreadSanitizer
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event));
}
extern "C" int epoll_wait(int epoll_fd, epoll_event *events, int most, int timeout) {
  return static_cast<int>(syscall(SYS_epoll_wait, epoll_fd, events, most, timeout));
}
extern "C" int epoll_pwait(int epoll_fd, epoll_event *events, int most, int timeout, const sigset_t *mask) {
  return static_cast<int>(syscall(SYS_epoll_pwait, epoll_fd, events, most, timeout, mask, _NSIG / 8));
}
#endif
