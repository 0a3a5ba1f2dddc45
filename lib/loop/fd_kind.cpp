// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/fd_kind.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace virt_uv::loop {

using core::FdKind;
using core::kError;
using core::kHangup;
using core::kReadable;
using core::kReadWrite;
using core::kWritable;

namespace {

// Anonymous inodes that raise no POLLHUP (fs/eventfd.c, fs/timerfd.c, fs/signalfd.c, fs/eventpoll.c,
// fs/notify/inotify). Others do, or may one day: a pidfd since Linux 6.9.
constexpr std::string_view kPlainInodes[] = {"anon_inode:[eventfd]", "anon_inode:[timerfd]", "anon_inode:[signalfd]",
                                             "anon_inode:[eventpoll]", "anon_inode:inotify"};

bool is_plain_inode(int fd) noexcept {
  char path[32] = {};
  char target[64];
  fmt::format_to_n(path, sizeof path - 1, "/proc/self/fd/{}", fd);
  const ssize_t length = readlink(path, target, sizeof target);
  if (length < 0) return false;
  const std::string_view name(target, static_cast<std::size_t>(length));
  return std::find(std::begin(kPlainInodes), std::end(kPlainInodes), name) != std::end(kPlainInodes);
}

// A socket that was never connected has a POLLHUP without POLLRDHUP (tcp_poll, unix_poll): the tripwire would miss it.
bool is_hung_up(int fd) noexcept { return (inspect(fd, 0) & kHangup) != 0; }

bool may_be_refused(mode_t mode) noexcept { return S_ISREG(mode) || S_ISDIR(mode) || S_ISCHR(mode) || S_ISBLK(mode); }

// 1 or 0; -1: errno says why it cannot be told. Asks an epoll instance of its own, as the loop's is another thread's.
int is_refused_by_epoll(int fd) noexcept {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return -1;
  epoll_event probe{};
  const bool refused = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &probe) < 0 && errno == EPERM;
  close(epoll_fd);
  return refused ? 1 : 0;
}

}  // namespace

FdKind fd_kind(int fd) noexcept {
  struct stat status;
  if (fstat(fd, &status) < 0) return FdKind::kInspected;  // the duplicate of a bad fd fails
  if (S_ISSOCK(status.st_mode)) return is_hung_up(fd) ? FdKind::kInspected : FdKind::kSocket;
  if ((status.st_mode & S_IFMT) == 0) return FdKind::kAnonymous;
  const int refused = may_be_refused(status.st_mode) ? is_refused_by_epoll(fd) : 0;
  if (refused < 0) return FdKind::kUnknown;
  return refused > 0 ? FdKind::kAlwaysReady : FdKind::kInspected;
}

FdKind kind_by_name(int fd) noexcept { return is_plain_inode(fd) ? FdKind::kPlain : FdKind::kInspected; }

int inspect(int fd, int wanted) noexcept {
  pollfd asked = {fd, 0, 0};
  if (wanted & kReadable) asked.events |= POLLIN;
  if (wanted & kWritable) asked.events |= POLLOUT;
  // Without a wait, poll(2) fails for want of memory only: the event is level-triggered and comes again.
  if (poll(&asked, 1, 0) <= 0) return 0;
  int events = 0;
  if (asked.revents & POLLIN) events |= kReadable;
  if (asked.revents & POLLOUT) events |= kWritable;
  if (asked.revents & (POLLERR | POLLNVAL)) events |= kError;
  if (asked.revents & POLLHUP) events |= kHangup;
  return events;
}

int uv_events_for(int wanted, FdKind kind) noexcept {
  const int readwrite = wanted & kReadWrite;
  // With nothing to read or write asked for, libuv still needs a bit to fold a bare POLLERR or POLLHUP into
  // (uv__io_poll in its src/unix/linux.c); UV_PRIORITIZED is the one that is otherwise rarest.
  if (readwrite == 0) return UV_PRIORITIZED;
  return kind == FdKind::kSocket ? readwrite | UV_DISCONNECT : readwrite;
}

std::uint32_t epoll_events(int uv_events) noexcept {
  std::uint32_t events = 0;
  if ((uv_events & UV_READABLE) != 0) events |= EPOLLIN;
  if ((uv_events & UV_WRITABLE) != 0) events |= EPOLLOUT;
  if ((uv_events & UV_DISCONNECT) != 0) events |= EPOLLRDHUP;
  if ((uv_events & UV_PRIORITIZED) != 0) events |= EPOLLPRI;
  return events;
}

}  // namespace virt_uv::loop
