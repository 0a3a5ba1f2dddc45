// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Fds for tests, closed at the end.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <set>
#include <string>

#include "catch.hpp"

// How many this process has.
inline int open_fds() {
  DIR *directory = opendir("/proc/self/fd");
  int number = 0;
  while (readdir(directory) != nullptr) ++number;
  closedir(directory);
  return number;
}

// What is in an epoll instance, by number (proc(5), "fdinfo").
inline std::set<int> fds_in_epoll(int epoll_fd) {
  std::ifstream lines("/proc/self/fdinfo/" + std::to_string(epoll_fd));
  std::set<int> found;
  for (std::string word; lines >> word;) {
    if (word != "tfd:") continue;
    int fd = -1;
    lines >> fd;
    found.insert(fd);
  }
  return found;
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
  void make_readable() { REQUIRE(eventfd_write(get(), 1) == 0); }
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

// A connected pair over TCP on loopback: unlike a unix socket, it has urgent data.
class TcpPair {
 private:
  struct Listener : Fd {
    Listener() : Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      REQUIRE(bind(get(), name(), size) == 0);
      REQUIRE(listen(get(), 1) == 0);
      REQUIRE(getsockname(get(), name(), &size) == 0);
    }
    sockaddr *name() { return reinterpret_cast<sockaddr *>(&address); }
    int connect() {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      REQUIRE(::connect(fd, name(), sizeof address) == 0);
      return fd;
    }
    int accept() const { return accept4(get(), nullptr, nullptr, SOCK_CLOEXEC); }
    sockaddr_in address{};
  };
  Listener listener_;

 public:
  Fd peer{listener_.connect()};
  Fd ours{listener_.accept()};
};
