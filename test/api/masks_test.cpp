// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A socket that is masked and unmasked around its events, as by remote calls: the loop sleeps through it, and nothing
// is lost.
#include <poll.h>
#include <sys/socket.h>

#include "masked_socket.hpp"

namespace {

constexpr int R = VIR_EVENT_HANDLE_READABLE;
constexpr int W = VIR_EVENT_HANDLE_WRITABLE;
constexpr int E = VIR_EVENT_HANDLE_ERROR;
constexpr int H = VIR_EVENT_HANDLE_HANGUP;

}  // namespace

TEST_CASE("a mask that leaves WRITABLE out takes no iteration for an event that is not wanted") {
  struct Sender {
    static void ready(int id, int, int events, void *opaque) {
      *static_cast<int *>(opaque) |= events;
      virt_uv_update_handle(id, VIR_EVENT_HANDLE_READABLE);
    }
  };
  Host host;
  SocketPair pair;
  int events = 0;
  const int both = VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_WRITABLE;
  const int id = virt_uv_add_handle(pair.ours.get(), both, Sender::ready, &events, nullptr);
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t before = stats().dropped;
    REQUIRE(host.loop.run_until([&] { return events == VIR_EVENT_HANDLE_WRITABLE; }));
    CHECK(host.loop.comes_to_sleep());
    CHECK(stats().dropped == before);
    events = 0;
    virt_uv_update_handle(id, both);
  }
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("a socket that another thread masks and unmasks, with something to read, wakes the loop for none of it") {
  Host host;
  for (int use_of_the_slot = 0; use_of_the_slot < 2; ++use_of_the_slot) {
    MaskedSocket socket(host);
    const virt_uv_stats before = stats();
    for (int call = 0; call < 100; ++call) {
      socket.update_elsewhere(R);
      socket.update_elsewhere(0);
      host.loop.run_iterations(1);
    }
    CHECK(socket.events == 0);
    CHECK(stats().wakeups == before.wakeups);
    CHECK(stats().dropped == before.dropped);
    socket.update_elsewhere(R);
    CHECK(socket.next_events() == R);
    socket.update_elsewhere(0);
  }
}

TEST_CASE(
    "WRITABLE that another thread puts on a socket and takes off again wakes the loop once each, and then never") {
  Host host;
  SocketPair pair;
  int events = 0;
  const int id = virt_uv_add_handle(
      pair.ours.get(), R, [](int, int, int seen, void *opaque) { *static_cast<int *>(opaque) |= seen; }, &events,
      nullptr);
  host.loop.run_iterations(2);
  const virt_uv_stats before = stats();
  for (int call = 0; call < 20; ++call) {
    std::thread([&] { virt_uv_update_handle(id, R | W); }).join();
    CHECK(host.loop.run_until([&] { return events == W; }));
    std::thread([&] { virt_uv_update_handle(id, R); }).join();
    CHECK(host.loop.comes_to_sleep());
    events = 0;
  }
  CHECK(stats().wakeups == before.wakeups + 2);
  CHECK(stats().dropped == before.dropped);
  REQUIRE(send(pair.peer.get(), "x", 1, 0) == 1);
  CHECK(host.loop.run_until([&] { return events == R; }));
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("an event that came before the mask was taken off leaves the socket to the threads that change it") {
  Host host;
  MaskedSocket first(host), second(host);
  const virt_uv_stats before = stats();
  for (int round = 1; round <= 10; ++round) {  // the second to be called finds its mask taken off
    first.on_call = [&] { second.update(0); };
    second.on_call = [&] { first.update(0); };
    first.update_elsewhere(R);
    second.update_elsewhere(R);
    host.loop.run_iterations(1);
    CHECK(first.calls + second.calls == round);
    CHECK(stats().dropped == before.dropped + static_cast<std::uint64_t>(round));
    first.update(0);
    second.update(0);
  }
  CHECK(stats().wakeups == before.wakeups);
}

TEST_CASE("a masked socket may be unmasked for any events, and gets those that there are") {
  Host host;
  MaskedSocket socket(host);
  for (const int mask : {R | W, W, R}) {
    socket.update_elsewhere(mask);
    CHECK(socket.next_events() == mask);
    socket.update_elsewhere(0);
    socket.events = 0;
    host.loop.run_iterations(3);
    CHECK(socket.events == 0);
  }
  socket.update_elsewhere(E);
  socket.events = 0;
  host.loop.run_iterations(3);
  CHECK(socket.events == 0);
  socket.pair.peer.close();
  CHECK(socket.next_events() == H);
}

TEST_CASE("a peer that goes while the socket is masked neither keeps the loop awake nor is forgotten") {
  Host host;
  MaskedSocket socket(host);
  socket.pair.peer.close();
  host.loop.run_iterations(3);
  const std::uint64_t before = stats().dropped;
  host.loop.run_iterations(100);
  CHECK(stats().dropped == before);
  CHECK(socket.events == 0);
  socket.update_elsewhere(R);
  CHECK(socket.next_events() == (R | H));
}

TEST_CASE("a socket that is half-closed while it is masked is readable and not hung up, again and again") {
  Host host;
  MaskedSocket socket(host);
  REQUIRE(shutdown(socket.pair.peer.get(), SHUT_WR) == 0);
  for (int round = 0; round < 3; ++round) {
    host.loop.run_iterations(3);
    socket.update_elsewhere(R);
    CHECK(socket.next_events() == R);
    socket.update_elsewhere(0);
  }
}

TEST_CASE("a masked socket is what it was in the next loop") {
  Loop first;
  REQUIRE(virt_uv_attach(first.get(), nullptr) == 0);
  SocketPair pair;
  int events = 0;
  const int id = virt_uv_add_handle(
      pair.ours.get(), R, [](int, int, int seen, void *opaque) { *static_cast<int *>(opaque) = seen; }, &events,
      nullptr);
  first.run_iterations(2);
  virt_uv_update_handle(id, 0);
  REQUIRE(send(pair.peer.get(), "x", 1, 0) == 1);
  first.run_iterations(3);
  REQUIRE(detach(first));
  virt_uv_update_handle(id, R);
  virt_uv_update_handle(id, 0);
  Host next;
  next.loop.run_iterations(3);
  CHECK(events == 0);
  virt_uv_update_handle(id, R);
  CHECK(next.loop.run_until([&] { return events == R; }));
  virt_uv_remove_handle(id);
  CHECK(drain(next.loop));
}

TEST_CASE("urgent data for a socket that was masked and unmasked lets the loop sleep") {
  Host host;
  TcpPair tcp;
  int events = 0;
  const int id = virt_uv_add_handle(
      tcp.ours.get(), R, [](int, int, int seen, void *opaque) { *static_cast<int *>(opaque) = seen; }, &events,
      nullptr);
  host.loop.run_iterations(2);
  virt_uv_update_handle(id, 0);
  const std::uint64_t before = stats().dropped;
  REQUIRE(send(tcp.peer.get(), "x", 1, 0) == 1);
  REQUIRE(host.loop.run_until([&] { return stats().dropped > before; }));
  char byte;
  REQUIRE(recv(tcp.ours.get(), &byte, 1, MSG_DONTWAIT) == 1);
  virt_uv_update_handle(id, R);
  REQUIRE(send(tcp.peer.get(), "!", 1, MSG_OOB) == 1);
  pollfd arrived = {tcp.ours.get(), POLLPRI, 0};
  REQUIRE(poll(&arrived, 1, 60000) == 1);
  CHECK(host.loop.comes_to_sleep());
  CHECK(events == 0);
  REQUIRE(send(tcp.peer.get(), "y", 1, 0) == 1);
  CHECK(host.loop.run_until([&] { return events == R; }));
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("once urgent data has come and gone, a socket's events are told without an inspection again") {
  Host host;
  TcpPair tcp;
  int events = 0;
  const int id = virt_uv_add_handle(
      tcp.ours.get(), E, [](int, int, int seen, void *opaque) { *static_cast<int *>(opaque) = seen; }, &events,
      nullptr);
  std::uint64_t before = stats().inspections;
  REQUIRE(send(tcp.peer.get(), "!", 1, MSG_OOB) == 1);
  REQUIRE(host.loop.run_until([&] { return stats().inspections > before; }));
  char byte;
  REQUIRE(recv(tcp.ours.get(), &byte, 1, MSG_OOB) == 1);
  virt_uv_update_handle(id, R);
  host.loop.run_iterations(2);
  before = stats().inspections;
  REQUIRE(send(tcp.peer.get(), "y", 1, 0) == 1);
  CHECK(host.loop.run_until([&] { return events == R; }));
  CHECK(stats().inspections == before);
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}
