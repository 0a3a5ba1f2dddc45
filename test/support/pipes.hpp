// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Fds for tests, closed at the end.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include "catch.hpp"

// How many this process has.
inline int open_fds() {
  DIR *directory = opendir("/proc/self/fd");
  int number = 0;
  while (readdir(directory) != nullptr) ++number;
  closedir(directory);
  return number;
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) { REQUIRE(fd >= 0); }
  ~Fd() { close(); }
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;

  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// An eventfd: readable while it is raised.
class Signal : public Fd {
 public:
  Signal() : Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  void raise() { REQUIRE(eventfd_write(get(), 1) == 0); }
  void lower() {
    eventfd_t value;
    REQUIRE(eventfd_read(get(), &value) == 0);
  }
};

class SocketPair {
 public:
  SocketPair() : SocketPair(make()) {}
  Fd ours;
  Fd peer;

 private:
  struct Ends {
    int fds[2];
  };
  static Ends make() {
    Ends ends;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.fds) == 0);
    return ends;
  }
  explicit SocketPair(Ends ends) : ours(ends.fds[0]), peer(ends.fds[1]) {}
};
