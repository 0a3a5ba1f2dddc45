// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A socket that has got an event while its mask was 0: nobody wanted it, and it is there still. From then on the thread
// that changes the mask tells the kernel.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <thread>

#include "host.hpp"
#include "pipes.hpp"

struct MaskedSocket {
  explicit MaskedSocket(Host &in_host) : host(in_host) {
    id = virt_uv_add_handle(pair.ours.get(), VIR_EVENT_HANDLE_READABLE, on_event, this, nullptr);
    host.loop.run_iterations(2);
    update(0);
    REQUIRE(send(pair.peer.get(), "x", 1, 0) == 1);
    const std::uint64_t before = stats().dropped;
    REQUIRE(host.loop.run_until([&] { return stats().dropped > before; }));
    REQUIRE(events == 0);
  }
  ~MaskedSocket() {
    std::thread([this] { virt_uv_remove_handle(id); }).join();
    CHECK(host.loop.run_until([] { return stats().frees_pending == 0; }));
  }

  static void on_event(int, int, int seen, void *opaque) {
    auto &self = *static_cast<MaskedSocket *>(opaque);
    self.events = seen;
    ++self.calls;
    if (self.on_call) self.on_call();
  }

  void update(int mask) const { virt_uv_update_handle(id, mask); }
  void update_elsewhere(int mask) const {
    std::thread([&] { update(mask); }).join();
  }
  // What the next callback is told.
  int next_events() {
    events = 0;
    REQUIRE(host.loop.run_until([&] { return events != 0; }));
    return events;
  }

  Host &host;
  SocketPair pair;
  int id;
  int events = 0;
  int calls = 0;
  std::function<void()> on_call;
};
