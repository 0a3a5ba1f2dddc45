// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Fds to watch, of each kind that poll(2) treats in a way of its own, and what can be done to them.
//
// All are blocking, as they come from the kernel, so that an O_NONBLOCK that appears on one is somebody's doing. The
// world closes what is left open.
#pragma once

#include <netinet/in.h>

#include <vector>

#include "world.hpp"

namespace conformance {

struct Ends {
  int a;
  int b;
};

// A socket bound to a free port of the loopback interface.
struct Bound {
  int fd;
  sockaddr_in address;
};

Bound make_bound(World &world, int type);  // SOCK_STREAM, SOCK_DGRAM
int make_connected(World &world, int type, const Bound &to);

Ends make_pipe(World &world);                  // a reads what b writes
Ends make_fifo(World &world);                  // as a pipe, by a name
Ends make_socketpair(World &world, int type);  // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET
Ends make_tcp(World &world);
Ends make_terminal(World &world);  // a: the terminal, b: its master; raw
int make_eventfd(World &world, unsigned count);
int make_file(World &world, int flags);  // a regular file with some bytes in it
int make_dev_null(World &world);
int make_readable(World &world);  // the reading end of a pipe with a byte in it

bool put_some(int fd, int bytes);   // writes so many without blocking, or answers false
void put(int fd, int bytes);        // as put_some, but throws
void fill(int fd);                  // writes until it would block
void drain(int fd);                 // reads until it would block, or the end
void reset(World &world, int tcp);  // closes it so that the peer sees a reset
// Until poll(2) reports one of `events` on `fd`: what TCP does, it does soon, not at once.
void await(int fd, short events);

// poll(2)'s view, in libvirt's bits; 0 for a mask of 0.
int poll_truth(int fd, int mask);

// An fd in a certain state.
struct Situation {
  const char *name;
  int (*make)(World &world);
};

const std::vector<Situation> &situations();

}  // namespace conformance
