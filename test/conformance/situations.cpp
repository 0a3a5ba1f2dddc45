// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every kind of fd in every state that poll(2) tells apart.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

#include "fds.hpp"

namespace conformance {
namespace {

// The end `a` of a pair, after the peer `b` has been closed.
int peer_closed(World &world, Ends ends) {
  world.close(ends.b);
  return ends.a;
}

int data_then_peer_closed(World &world, Ends ends) {
  put(ends.b, 100);
  world.close(ends.b);
  return ends.a;
}

// The peer goes while what we sent it lies unread.
int peer_closed_with_unread(World &world, Ends ends) {
  put(ends.a, 100);
  world.close(ends.b);
  return ends.a;
}

int shut(Ends ends, int a_how, int b_how) {
  if (a_how >= 0) shutdown(ends.a, a_how);
  if (b_how >= 0) shutdown(ends.b, b_how);
  return ends.a;
}

int with_data(Ends ends) {
  put(ends.b, 100);
  return ends.a;
}

int shut_behind_data(Ends ends) { return shut({with_data(ends), ends.b}, -1, SHUT_WR); }

int full(int fd) {
  fill(fd);
  return fd;
}

// As the same state of a unix socket, but what the peer did arrives a moment later.
int arrived(int fd, short events) {
  await(fd, events);
  return fd;
}

int reset_by_peer(World &world, bool data_first) {
  const Ends ends = make_tcp(world);
  if (data_first) arrived(with_data(ends), POLLIN);
  reset(world, ends.b);
  return arrived(ends.a, POLLHUP);
}

// Bound but not listening, the port refuses, and nobody else can get it.
int refused_connection(World &world) {
  const Bound nobody = make_bound(world, SOCK_STREAM);
  const int fd = world.own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(fd, reinterpret_cast<const sockaddr *>(&nobody.address), sizeof nobody.address) == 0) {
    throw std::runtime_error("a port where nobody listens took a connection");
  }
  return arrived(fd, POLLHUP);
}

int listening(World &world, bool with_caller) {
  const Bound listener = make_bound(world, SOCK_STREAM);
  if (listen(listener.fd, 1) < 0) throw std::runtime_error("a socket would not listen");
  if (!with_caller) return listener.fd;
  make_connected(world, SOCK_STREAM, listener);
  return arrived(listener.fd, POLLIN);
}

// A datagram to a port where nobody is comes back as an error on the socket: POLLERR alone.
int udp_with_error(World &world) {
  const Bound gone = make_bound(world, SOCK_DGRAM);
  const int fd = make_connected(world, SOCK_DGRAM, gone);
  world.close(gone.fd);
  put(fd, 1);
  return arrived(fd, POLLERR);
}

int expired_timer(World &world) {
  const int fd = world.own(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const itimerspec soon{{0, 0}, {0, 1}};
  timerfd_settime(fd, 0, &soon, nullptr);
  return arrived(fd, POLLIN);
}

int full_eventfd(World &world) {
  const int fd = make_eventfd(world, 0);
  const std::uint64_t most = UINT64_MAX - 1;
  if (write(fd, &most, sizeof most) != sizeof most)
    throw std::runtime_error("an eventfd did not take its greatest value");
  return fd;
}

int epoll_of_one_ready(World &world) {
  const int fd = world.own(epoll_create1(EPOLL_CLOEXEC));
  epoll_event any{};
  any.events = EPOLLIN;
  if (epoll_ctl(fd, EPOLL_CTL_ADD, make_eventfd(world, 1), &any) < 0) throw std::runtime_error("epoll_ctl failed");
  return fd;
}

Ends reversed(Ends ends) { return {ends.b, ends.a}; }

}  // namespace

#define S(name, ...)                                  \
  {                                                   \
    name, [](World &w) -> int { return __VA_ARGS__; } \
  }

const std::vector<Situation> &situations() {
  static const std::vector<Situation> all = {
      S("pipe, reading end, empty", make_pipe(w).a),
      S("pipe, reading end, data", with_data(make_pipe(w))),
      S("pipe, reading end, writer gone", peer_closed(w, make_pipe(w))),
      S("pipe, reading end, data and writer gone", data_then_peer_closed(w, make_pipe(w))),
      S("pipe, writing end, empty", make_pipe(w).b),
      S("pipe, writing end, full", full(make_pipe(w).b)),
      S("pipe, writing end, reader gone", peer_closed(w, reversed(make_pipe(w)))),
      S("pipe, writing end, reader gone with data unread", peer_closed_with_unread(w, reversed(make_pipe(w)))),
      S("FIFO, reading end, empty", make_fifo(w).a),
      S("FIFO, reading end, data", with_data(make_fifo(w))),
      S("FIFO, reading end, writer gone", peer_closed(w, make_fifo(w))),
      S("FIFO, reading end, data and writer gone", data_then_peer_closed(w, make_fifo(w))),
      S("FIFO, writing end, empty", make_fifo(w).b),
      S("FIFO, writing end, full", full(make_fifo(w).b)),
      S("FIFO, writing end, reader gone", peer_closed(w, reversed(make_fifo(w)))),
      S("FIFO, writing end, reader gone with data unread", peer_closed_with_unread(w, reversed(make_fifo(w)))),
      S("stream socketpair, idle", make_socketpair(w, SOCK_STREAM).a),
      S("stream socketpair, data", with_data(make_socketpair(w, SOCK_STREAM))),
      S("stream socketpair, full", full(make_socketpair(w, SOCK_STREAM).a)),
      S("stream socketpair, peer closed", peer_closed(w, make_socketpair(w, SOCK_STREAM))),
      S("stream socketpair, data and peer closed", data_then_peer_closed(w, make_socketpair(w, SOCK_STREAM))),
      S("stream socketpair, peer closed with data unread", peer_closed_with_unread(w, make_socketpair(w, SOCK_STREAM))),
      S("stream socketpair, peer shut for writing", shut(make_socketpair(w, SOCK_STREAM), -1, SHUT_WR)),
      S("stream socketpair, peer shut for reading", shut(make_socketpair(w, SOCK_STREAM), -1, SHUT_RD)),
      S("stream socketpair, shut for writing", shut(make_socketpair(w, SOCK_STREAM), SHUT_WR, -1)),
      S("stream socketpair, shut for both", shut(make_socketpair(w, SOCK_STREAM), SHUT_RDWR, -1)),
      S("stream socketpair, both shut for writing", shut(make_socketpair(w, SOCK_STREAM), SHUT_WR, SHUT_WR)),
      S("datagram socketpair, idle", make_socketpair(w, SOCK_DGRAM).a),
      S("datagram socketpair, data", with_data(make_socketpair(w, SOCK_DGRAM))),
      S("datagram socketpair, peer closed", peer_closed(w, make_socketpair(w, SOCK_DGRAM))),
      S("seqpacket socketpair, peer closed", peer_closed(w, make_socketpair(w, SOCK_SEQPACKET))),
      S("unconnected stream socket", w.own(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))),
      S("unconnected TCP socket", w.own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))),
      S("TCP, idle", make_tcp(w).a),
      S("TCP, data", arrived(with_data(make_tcp(w)), POLLIN)),
      S("TCP, half-closed by the peer", arrived(shut(make_tcp(w), -1, SHUT_WR), POLLRDHUP)),
      S("TCP, data and half-closed by the peer", arrived(shut_behind_data(make_tcp(w)), POLLRDHUP)),
      S("TCP, half-closed by us", shut(make_tcp(w), SHUT_WR, -1)),
      S("TCP, both half-closed", arrived(shut(make_tcp(w), SHUT_WR, SHUT_WR), POLLHUP)),
      S("TCP, peer closed", arrived(peer_closed(w, make_tcp(w)), POLLRDHUP)),
      S("TCP, data and peer closed", arrived(data_then_peer_closed(w, make_tcp(w)), POLLRDHUP)),
      S("TCP, peer closed with data unread", arrived(peer_closed_with_unread(w, make_tcp(w)), POLLHUP)),
      S("TCP, reset", reset_by_peer(w, false)),
      S("TCP, data and reset", reset_by_peer(w, true)),
      S("TCP, connection refused", refused_connection(w)),
      S("TCP, listening", listening(w, false)),
      S("TCP, listening, a caller waits", listening(w, true)),
      S("UDP, idle", w.own(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))),
      S("UDP, an error came back", udp_with_error(w)),
      S("terminal, idle", make_terminal(w).a),
      S("terminal, data", with_data(make_terminal(w))),
      S("terminal, master hung up", peer_closed(w, make_terminal(w))),
      S("terminal, data and master hung up", data_then_peer_closed(w, make_terminal(w))),
      S("master, idle", make_terminal(w).b),
      S("master, data", with_data(reversed(make_terminal(w)))),
      S("master, terminal closed", peer_closed(w, reversed(make_terminal(w)))),
      S("eventfd, 0", make_eventfd(w, 0)),
      S("eventfd, 1", make_eventfd(w, 1)),
      S("eventfd, full", full_eventfd(w)),
      S("timerfd, expired", expired_timer(w)),
      S("inotify, idle", w.own(inotify_init1(IN_CLOEXEC))),
      S("epoll, one ready", epoll_of_one_ready(w)),
      S("regular file, for reading", make_file(w, O_RDONLY)),
      S("regular file, for writing", make_file(w, O_WRONLY)),
      S("regular file, for both", make_file(w, O_RDWR)),
      S("directory", w.own(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))),
      S("memory file", w.own(memfd_create("conformance", MFD_CLOEXEC))),
      S("/proc file", w.own(open("/proc/self/status", O_RDONLY | O_CLOEXEC))),
      S("/dev/null", make_dev_null(w)),
      S("/dev/zero", w.own(open("/dev/zero", O_RDWR | O_CLOEXEC))),
  };
  return all;
}

#undef S

}  // namespace conformance
