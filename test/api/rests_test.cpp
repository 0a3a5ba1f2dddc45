// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A socket whose mask another thread changes, and whose callback reads nothing, as while libvirt hands a connection
// from one waiting thread to the next: the loop leaves the core to that thread, and forgets nothing.
#include <deque>

#include "masked_socket.hpp"

namespace {

constexpr int R = VIR_EVENT_HANDLE_READABLE;
constexpr int W = VIR_EVENT_HANDLE_WRITABLE;
constexpr int H = VIR_EVENT_HANDLE_HANGUP;

// The first event is not looked at, and two must have left all that there was.
constexpr int kCallsToRest = 3;

// The first time that WRITABLE is asked for, libuv is told of it.
void arm_for_both(MaskedSocket &socket) {
  socket.update_elsewhere(R | W);
  REQUIRE(socket.next_events() == (R | W));
  socket.update_elsewhere(0);
  socket.host.loop.run_iterations(2);
}

void put_to_rest(MaskedSocket &socket, int mask) {
  socket.update_elsewhere(0);
  socket.update_elsewhere(mask);
  socket.calls = 0;
  REQUIRE(socket.host.loop.comes_to_sleep());
  REQUIRE(socket.calls == kCallsToRest);
}

int calls_in_20_iterations(MaskedSocket &socket) {
  socket.calls = 0;
  socket.host.loop.run_iterations(20);
  return socket.calls;
}

}  // namespace

TEST_CASE("a callback that reads nothing of what another thread has enabled lets the loop sleep, and is called again") {
  Host host;
  MaskedSocket socket(host);
  arm_for_both(socket);
  for (const int mask : {R, R | W}) {
    put_to_rest(socket, mask);
    for (int rest = 1; rest < 20; ++rest) {
      REQUIRE(host.loop.run_until([&] { return socket.calls > rest * kCallsToRest; }));
      CHECK(socket.events == mask);
      REQUIRE(host.loop.comes_to_sleep());
      REQUIRE(socket.calls == (rest + 1) * kCallsToRest);
    }
  }
}

TEST_CASE("a change of the mask ends a socket's rest") {
  Host host;
  MaskedSocket socket(host);
  arm_for_both(socket);
  for (int round = 0; round < 50; ++round) {  // the rest may end by itself before the change
    put_to_rest(socket, R);
    socket.update_elsewhere(0);
    socket.update_elsewhere(R | W);
    host.loop.run_iterations(1);
    CHECK(socket.events == (R | W));
    socket.events = 0;
  }
}

TEST_CASE("a callback that reads one byte of many is called in each iteration") {
  Host host;
  MaskedSocket socket(host);
  socket.on_call = [&] {
    char byte;
    REQUIRE(recv(socket.pair.ours.get(), &byte, 1, MSG_DONTWAIT) == 1);
  };
  const std::string many(20, 'x');
  for (int round = 0; round < 3; ++round) {
    REQUIRE(send(socket.pair.peer.get(), many.data(), many.size(), 0) == 20);
    socket.update_elsewhere(R);
    CHECK(calls_in_20_iterations(socket) == 20);
    socket.update_elsewhere(0);
  }
}

TEST_CASE("a socket that is writable, with nothing to read, rests too") {
  Host host;
  MaskedSocket socket(host);
  arm_for_both(socket);
  char byte;
  REQUIRE(recv(socket.pair.ours.get(), &byte, 1, MSG_DONTWAIT) == 1);
  for (int round = 0; round < 3; ++round) put_to_rest(socket, W);
}

TEST_CASE("a callback that writes one byte after the other is called in each iteration") {
  Host host;
  MaskedSocket socket(host);
  arm_for_both(socket);
  socket.on_call = [&] { REQUIRE(send(socket.pair.ours.get(), "y", 1, MSG_DONTWAIT) == 1); };
  for (int round = 0; round < 3; ++round) {
    socket.update_elsewhere(R | W);
    CHECK(calls_in_20_iterations(socket) == 20);
    socket.update_elsewhere(0);
  }
}

TEST_CASE("a callback that reads nothing is called in each iteration where only the loop's thread changes the mask") {
  Host host;
  MaskedSocket socket(host);
  for (int round = 0; round < 3; ++round) {
    socket.update(R);
    CHECK(calls_in_20_iterations(socket) == 20);
    socket.update(0);
  }
}

TEST_CASE("a socket that hangs up while it rests is told of it at once") {
  Host host;
  MaskedSocket socket(host);
  put_to_rest(socket, R);
  socket.pair.peer.close();
  host.loop.run_iterations(1);
  CHECK(socket.events == (R | H));
}

TEST_CASE("the slot of a socket that was removed while it rested is the next watch's, with all its events") {
  Host host;
  for (int round = 0; round < 5; ++round) {
    MaskedSocket socket(host);
    socket.update(R);
    CHECK(calls_in_20_iterations(socket) == 20);
    put_to_rest(socket, R);
  }
}

TEST_CASE("a socket that rests is called in the next loop") {
  Host first;
  MaskedSocket socket(first);
  put_to_rest(socket, R);
  REQUIRE(detach(first.loop));
  REQUIRE(virt_uv_attach(first.loop.get(), nullptr) == 0);
  CHECK(calls_in_20_iterations(socket) >= kCallsToRest);
}

TEST_CASE("more sockets than can rest at a time are all called again") {
  Host host;
  std::deque<MaskedSocket> sockets;
  for (int i = 0; i < 40; ++i) sockets.emplace_back(host);
  for (MaskedSocket &socket : sockets) socket.update_elsewhere(R);
  for (MaskedSocket &socket : sockets) CHECK(host.loop.run_until([&] { return socket.calls > 5 * kCallsToRest; }));
}
