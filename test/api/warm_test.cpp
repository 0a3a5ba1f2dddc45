// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The poll handle of a removed watch is kept for a moment, and the next watch has it (lib/core/watches.hpp). A host
// sees of it only what these cases look at: libuv's handles, the process's fds, and when a file is closed.
#include <poll.h>
#include <sys/resource.h>

#include <memory>
#include <set>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

void no_event(int, int, int, void *) {}

struct Seen {
  int events = 0;
  int fd = -1;
  static void take(int, int fd, int events, void *opaque) {
    Seen &seen = *static_cast<Seen *>(opaque);
    seen.events |= events;
    seen.fd = fd;
  }
};

std::set<uv_handle_t *> poll_handles(Loop &loop) {
  std::set<uv_handle_t *> found;
  uv_walk(
      loop.get(),
      [](uv_handle_t *handle, void *opaque) {
        if (uv_handle_get_type(handle) == UV_POLL) static_cast<std::set<uv_handle_t *> *>(opaque)->insert(handle);
      },
      &found);
  return found;
}

// Adds a watch of the fd, and removes it again: `ff` is done with when this returns. Returns the events that came.
int live(Loop &loop, int fd, int events) {
  Seen seen;
  const int id = virt_uv_add_handle(fd, events, Seen::take, &seen, nullptr);
  REQUIRE(id > 0);
  CHECK(loop.run_until([&] { return seen.events != 0; }));
  CHECK(seen.fd == fd);
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(loop));
  return seen.events;
}

// So many watches at a time, each armed.
void live(Loop &loop, int number, Signal &signal) {
  std::vector<int> ids;
  for (int i = 0; i < number; ++i) ids.push_back(virt_uv_add_handle(signal.get(), 1, no_event, nullptr, nullptr));
  loop.run_iterations(3);
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(loop));
}

}  // namespace

TEST_CASE("the handle and the number of a removed watch are the next one's") {
  Host host;
  Signal first, second;
  first.make_readable();
  second.make_readable();
  CHECK(live(host.loop, first.get(), 1) == 1);
  const std::set<uv_handle_t *> handles = poll_handles(host.loop);
  const int fds = open_fds();
  for (int i = 0; i < 100; ++i) CHECK(live(host.loop, i % 2 != 0 ? first.get() : second.get(), 1) == 1);
  CHECK(poll_handles(host.loop) == handles);
  CHECK(open_fds() == fds);
}

TEST_CASE("nothing of a removed watch stays in epoll, and a kept handle's next watch is there alone") {
  Host host;
  Signal signal;
  signal.make_readable();
  SocketPair hung_up;
  hung_up.peer.close();
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  Fd reader(ends[0]), broken(ends[1]);
  reader.close();
  const int epoll_fd = uv_backend_fd(host.loop.get());
  host.loop.run_iterations(2);
  const std::set<int> before = fds_in_epoll(epoll_fd);
  for (int round = 0; round < 3; ++round) {
    for (const int fd : {signal.get(), broken.get(), signal.get(), hung_up.ours.get()}) {
      CHECK(live(host.loop, fd, VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_WRITABLE) != 0);
      host.loop.run_iterations(2);
      CHECK(fds_in_epoll(epoll_fd) == before);
    }
    const int id = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, no_event, nullptr, nullptr);
    host.loop.run_iterations(3);
    CHECK(fds_in_epoll(epoll_fd).size() == before.size() + 1);
    CHECK(virt_uv_remove_handle(id) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("a watch with a kept handle gets, by update, the events of any mask and those alone") {
  Host host;
  SocketPair pair;
  REQUIRE(write(pair.peer.get(), "x", 1) == 1);
  live(host.loop, pair.ours.get(), VIR_EVENT_HANDLE_READABLE);
  for (const int first : {1, 2, 3}) {
    Seen seen;
    const int id = virt_uv_add_handle(pair.ours.get(), first, Seen::take, &seen, nullptr);
    for (const int mask : {first, 0, 2, 3, 1, 0, first}) {
      virt_uv_update_handle(id, mask);
      host.loop.run_iterations(2);
      seen.events = 0;
      host.loop.run_iterations(2);
      CHECK(seen.events == mask);
    }
    CHECK(virt_uv_remove_handle(id) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("ids stay unique when the slot of a kept handle has used up its generations") {
  Host host;
  Signal signal;
  std::set<int> ids;
  for (int i = 0; i < 5000; ++i) {  // a slot has 2048
    const int id = virt_uv_add_handle(signal.get(), 1, no_event, nullptr, nullptr);
    host.loop.run_iterations(1);
    REQUIRE(virt_uv_remove_handle(id) == 0);
    host.loop.run_iterations(2);
    ids.insert(id);
  }
  CHECK(ids.size() == 5000);
  CHECK(*ids.begin() > 0);
}

TEST_CASE("a watch that has another's handle is told what poll(2) tells of its own fd") {
  Host host;
  Signal signal;
  signal.make_readable();
  SocketPair hung_up, writable;
  hung_up.peer.close();
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  Fd reader(ends[0]), writer(ends[1]);
  writer.close();
  for (int round = 0; round < 3; ++round) {
    CHECK(live(host.loop, signal.get(), VIR_EVENT_HANDLE_READABLE) == VIR_EVENT_HANDLE_READABLE);
    CHECK(live(host.loop, hung_up.ours.get(), VIR_EVENT_HANDLE_READABLE) ==
          (VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_HANGUP));
    CHECK(live(host.loop, writable.ours.get(), 3) == VIR_EVENT_HANDLE_WRITABLE);
    CHECK(live(host.loop, reader.get(), VIR_EVENT_HANDLE_READABLE) == VIR_EVENT_HANDLE_HANGUP);
  }
}

TEST_CASE("a kept handle keeps no file open: the peer sees the end as soon as the watch is removed and its fd closed") {
  Host host;
  SocketPair pair;
  const int id = virt_uv_add_handle(pair.ours.get(), 1, no_event, nullptr, nullptr);
  host.loop.run_iterations(3);
  CHECK(virt_uv_remove_handle(id) == 0);
  pair.ours.close();
  char byte;
  CHECK(recv(pair.peer.get(), &byte, 1, MSG_DONTWAIT) == 0);
}

TEST_CASE("handles that no watch has needed for a second are closed, and their numbers") {
  Host host;
  Signal signal;
  const std::size_t handles = poll_handles(host.loop).size();
  const int fds = open_fds();
  live(host.loop, 20, signal);
  CHECK(poll_handles(host.loop).size() == handles + 20);
  CHECK(host.loop.run_until([&] { return poll_handles(host.loop).size() == handles; }));
  CHECK(open_fds() == fds);
}

TEST_CASE("of the fds that the process may have, kept handles take an eighth at most") {
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit lower = {160, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &lower) == 0);
  {
    Host host;
    Signal signal;
    const std::size_t handles = poll_handles(host.loop).size();
    live(host.loop, 50, signal);
    CHECK(poll_handles(host.loop).size() == handles + 20);
  }
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

TEST_CASE("an add that fails leaves the kept handle to the next") {
  Host host;
  Signal signal;
  signal.make_readable();
  live(host.loop, signal.get(), 1);
  const std::set<uv_handle_t *> handles = poll_handles(host.loop);
  CHECK(virt_uv_add_handle(9999, 1, no_event, nullptr, nullptr) == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot watch fd 9999: Bad file descriptor") == 1);
  CHECK(live(host.loop, signal.get(), 1) == 1);
  CHECK(poll_handles(host.loop) == handles);
}

TEST_CASE("detach closes the kept handles, those whose ff is still to come as well") {
  Signal signal;
  const int fds = open_fds();
  {
    Host host;
    live(host.loop, 20, signal);
    std::vector<int> ids;
    for (int i = 0; i < 10; ++i) ids.push_back(virt_uv_add_handle(signal.get(), 1, no_event, nullptr, nullptr));
    host.loop.run_iterations(3);
    for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  }
  CHECK(open_fds() == fds);
}

TEST_CASE("a watch that has a kept handle and was never armed is what it was in the next loop") {
  Signal signal;
  signal.make_readable();
  Seen seen;
  auto first = std::make_unique<Host>();
  live(first->loop, signal.get(), 1);
  const int id = virt_uv_add_handle(signal.get(), 1, Seen::take, &seen, nullptr);
  first.reset();
  CHECK(seen.events == 0);
  Host second;
  CHECK(second.loop.run_until([&] { return seen.events == 1; }));
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(second.loop));
}

TEST_CASE("a host that closes the kept handles too is noticed, and all goes on at the next attach") {
  Signal signal;
  signal.make_readable();
  const int fds = open_fds();
  for (const bool is_needed : {false, true}) {
    Host host;
    live(host.loop, signal.get(), 1);
    for (uv_handle_t *handle : poll_handles(host.loop)) uv_close(handle, nullptr);
    Seen seen;
    const int id = is_needed ? virt_uv_add_handle(signal.get(), 1, Seen::take, &seen, nullptr) : 0;
    host.loop.run_iterations(3);
    CHECK(virt_uv_loop() == nullptr);
    REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
    if (is_needed) {
      CHECK(host.loop.run_until([&] { return seen.events == 1; }));
      CHECK(virt_uv_remove_handle(id) == 0);
    }
    CHECK(live(host.loop, signal.get(), 1) == 1);
  }
  CHECK(open_fds() == fds);
}
