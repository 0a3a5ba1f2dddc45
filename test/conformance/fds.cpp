// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See fds.hpp.
#include "fds.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <poll.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace conformance {
namespace {

constexpr int kPatienceMs = 10000;

[[noreturn]] void fail(const char *what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

void check(int result, const char *what) {
  if (result < 0) fail(what);
}

Ends own(World &world, int a, int b) { return {world.own(a), world.own(b)}; }

// While it lives, the fd's description does not block.
class NonBlocking {
 public:
  explicit NonBlocking(int fd) : fd_(fd), flags_(fcntl(fd, F_GETFL)) { fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK); }
  ~NonBlocking() { fcntl(fd_, F_SETFL, flags_); }
  NonBlocking(const NonBlocking &) = delete;
  NonBlocking &operator=(const NonBlocking &) = delete;

 private:
  const int fd_;
  const int flags_;
};

std::string temporary_name() {
  char directory[] = "/tmp/virt-uv-conformance-XXXXXX";
  if (mkdtemp(directory) == nullptr) fail("mkdtemp");
  return std::string(directory) + "/it";
}

void erase(const std::string &name) {
  unlink(name.c_str());
  rmdir(name.substr(0, name.rfind('/')).c_str());
}

}  // namespace

Ends make_pipe(World &world) {
  int fds[2];
  check(pipe2(fds, O_CLOEXEC), "pipe2");
  return own(world, fds[0], fds[1]);
}

Ends make_fifo(World &world) {
  const std::string name = temporary_name();
  check(mkfifo(name.c_str(), 0600), "mkfifo");
  // The reader opens first and without waiting for the writer, who would wait for it.
  const int reader = open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int writer = open(name.c_str(), O_WRONLY | O_CLOEXEC);
  erase(name);
  const Ends ends = own(world, reader, writer);
  check(fcntl(reader, F_SETFL, 0), "fcntl");
  return ends;
}

Ends make_socketpair(World &world, int type) {
  int fds[2];
  check(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), "socketpair");
  return own(world, fds[0], fds[1]);
}

Bound make_bound(World &world, int type) {
  Bound bound{world.own(socket(AF_INET, type | SOCK_CLOEXEC, 0)), {}};
  bound.address.sin_family = AF_INET;
  bound.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto *address = reinterpret_cast<sockaddr *>(&bound.address);
  socklen_t size = sizeof bound.address;
  check(bind(bound.fd, address, size), "bind");
  check(getsockname(bound.fd, address, &size), "getsockname");
  return bound;
}

int make_connected(World &world, int type, const Bound &to) {
  const int fd = world.own(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  check(connect(fd, reinterpret_cast<const sockaddr *>(&to.address), sizeof to.address), "connect");
  return fd;
}

Ends make_tcp(World &world) {
  const Bound listener = make_bound(world, SOCK_STREAM);
  check(listen(listener.fd, 1), "listen");
  const int client = make_connected(world, SOCK_STREAM, listener);
  const int server = world.own(accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC));
  world.close(listener.fd);
  return {client, server};
}

Ends make_terminal(World &world) {
  int master;
  int terminal;
  check(openpty(&master, &terminal, nullptr, nullptr, nullptr), "openpty");
  termios raw{};
  check(tcgetattr(terminal, &raw), "tcgetattr");
  cfmakeraw(&raw);
  check(tcsetattr(terminal, TCSANOW, &raw), "tcsetattr");
  return own(world, terminal, master);
}

int make_eventfd(World &world, unsigned count) { return world.own(eventfd(count, EFD_CLOEXEC)); }

int make_file(World &world, int flags) {
  const std::string name = temporary_name();
  const int created = world.own(open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  put(created, 10);
  const int fd = open(name.c_str(), flags | O_CLOEXEC);
  erase(name);
  world.close(created);
  return world.own(fd);
}

int make_dev_null(World &world) { return world.own(open("/dev/null", O_RDWR | O_CLOEXEC)); }

int make_readable(World &world) {
  const Ends pipe = make_pipe(world);
  put(pipe.b, 1);
  return pipe.a;
}

bool put_some(int fd, int bytes) {
  const NonBlocking while_writing(fd);
  const std::string data(static_cast<std::size_t>(bytes), 'x');
  return write(fd, data.data(), data.size()) == static_cast<ssize_t>(data.size());
}

void put(int fd, int bytes) {
  if (!put_some(fd, bytes)) fail("write");
}

void fill(int fd) {
  const NonBlocking while_writing(fd);
  static const std::string page(4096, 'x');
  while (write(fd, page.data(), page.size()) > 0) {
  }
  while (write(fd, page.data(), 1) > 0) {
  }
}

void drain(int fd) {
  const NonBlocking while_reading(fd);
  char buffer[65536];
  while (read(fd, buffer, sizeof buffer) > 0) {
  }
}

void reset(World &world, int tcp) {
  const linger at_once{1, 0};
  check(setsockopt(tcp, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
  world.close(tcp);
}

void await(int fd, short events) {
  pollfd one{fd, events, 0};
  if (poll(&one, 1, kPatienceMs) != 1) fail("what was awaited on an fd did not come");
}

int poll_truth(int fd, int mask) {
  if (mask == 0) return 0;
  static constexpr struct {
    int ours;
    short polls;
  } kBits[] = {{VIR_EVENT_HANDLE_READABLE, POLLIN},
               {VIR_EVENT_HANDLE_WRITABLE, POLLOUT},
               {VIR_EVENT_HANDLE_ERROR, POLLERR | POLLNVAL},
               {VIR_EVENT_HANDLE_HANGUP, POLLHUP}};
  pollfd one{fd, 0, 0};
  for (const auto &[ours, polls] : kBits) {
    if ((mask & ours) != 0) one.events = static_cast<short>(one.events | polls);
  }
  check(poll(&one, 1, 0), "poll");
  int events = 0;
  for (const auto &[ours, polls] : kBits) {
    if ((one.revents & polls) != 0) events |= ours;
  }
  return events;
}

}  // namespace conformance
