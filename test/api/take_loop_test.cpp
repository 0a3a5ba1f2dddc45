// SPDX-License-Identifier: LGPL-2.1-or-later
//
// virt_uv_take_loop(): which thread is the loop's is seen from outside by a remove. Made on the loop's thread, outside
// a callback, it closes the library's duplicate of the fd at once, and the peer sees the end; made on any other, it
// leaves the loop alone, and the peer sees the end after the loop's next iteration.
#include <poll.h>

#include <thread>

#include "host.hpp"
#include "pipes.hpp"

namespace {

void no_handle_callback(int, int, int, void *) {}

int take_loop_on_another_thread() {
  int result = 1;
  std::thread([&] { result = virt_uv_take_loop(); }).join();
  return result;
}

bool sees_end(const Fd &fd) {
  pollfd asked = {fd.get(), POLLIN, 0};
  return poll(&asked, 1, 0) > 0 && (asked.revents & POLLHUP) != 0;
}

// Has this thread polled for a socket, and then removes and closes it. Does the peer see the end at once?
bool remove_closes_at_once(Host &host, void (*between)()) {
  SocketPair pair;
  const int watch =
      virt_uv_add_handle(pair.ours.get(), VIR_EVENT_HANDLE_READABLE, no_handle_callback, nullptr, nullptr);
  host.loop.run_iterations(2);
  between();
  REQUIRE(virt_uv_remove_handle(watch) == 0);
  pair.ours.close();
  const bool at_once = sees_end(pair.peer);
  REQUIRE(drain(host.loop));
  REQUIRE(sees_end(pair.peer));
  return at_once;
}

}  // namespace

TEST_CASE("the thread that ran the loop leaves it alone once another has taken it") {
  Host host;
  CHECK(remove_closes_at_once(host, [] {}));
  CHECK_FALSE(remove_closes_at_once(host, [] { CHECK(take_loop_on_another_thread() == 0); }));
}

TEST_CASE("a thread that takes the loop is the loop's thread before it has run it") {
  Host host;
  CHECK(remove_closes_at_once(host, [] {
    CHECK(take_loop_on_another_thread() == 0);
    CHECK(virt_uv_take_loop() == 0);
  }));
}

TEST_CASE("a loop cannot be taken from a thread that is in its callback") {
  Host host;
  int elsewhere = 1, here = 1;
  struct Results {
    int &elsewhere, &here;
  } results{elsewhere, here};
  const auto take = [](int timer, void *opaque) {
    auto &[elsewhere, here] = *static_cast<Results *>(opaque);
    elsewhere = take_loop_on_another_thread();
    here = virt_uv_take_loop();
    virt_uv_remove_timeout(timer);
  };
  virt_uv_add_timeout(0, take, &results, nullptr);
  REQUIRE(host.loop.run_until([&] { return here != 1; }));
  CHECK(elsewhere == UV_EPERM);
  CHECK(here == 0);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "virt_uv_take_loop: another thread") == 1);
  CHECK(drain(host.loop));
}

TEST_CASE("without a loop there is none to take") {
  { Host before; }
  CHECK(virt_uv_take_loop() == UV_ENOTCONN);
}
