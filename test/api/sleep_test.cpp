// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When there is nothing to call, the loop sleeps: a state of an fd that no mask asks for, and work that is done, must
// not keep it going round. No callback would tell: such a loop only burns the processor.
#include <fcntl.h>
#include <sys/socket.h>

#include "host.hpp"
#include "pipes.hpp"

namespace {

void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void count_event(int, int, int, void *opaque) { count(opaque); }

// Something registered that does nothing: without it, libuv would not sleep, but return.
class KeepsAlive {
 public:
  ~KeepsAlive() { virt_uv_remove_timeout(id_); }

 private:
  int id_ = virt_uv_add_timeout(
      -1, [](int, void *) {}, nullptr, nullptr);
};

struct Watch {
  Watch(int fd, int events) : id(virt_uv_add_handle(fd, events, count_event, &calls, nullptr)) {}
  ~Watch() { virt_uv_remove_handle(id); }
  int calls = 0;
  int id;
};

void fill(int fd) {
  static const char bytes[4096] = {};
  while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
}

void take_all(int fd) {
  char bytes[4096];
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
}

}  // namespace

TEST_CASE("a half-closed socket whose mask is WRITABLE lets the loop sleep for as long as nothing can be written") {
  Host host;
  const KeepsAlive alive;
  SocketPair pair;
  fill(pair.ours.get());
  const Watch watch(pair.ours.get(), VIR_EVENT_HANDLE_WRITABLE);
  REQUIRE(host.loop.comes_to_sleep());
  REQUIRE(shutdown(pair.peer.get(), SHUT_WR) == 0);
  CHECK(host.loop.comes_to_sleep());
  CHECK(watch.calls == 0);
  take_all(pair.peer.get());
  CHECK(host.loop.run_until([&] { return watch.calls > 0; }));
}

TEST_CASE("urgent data that nothing reads lets the loop sleep, whichever mask asks for no reading") {
  for (const int mask : {VIR_EVENT_HANDLE_ERROR, VIR_EVENT_HANDLE_HANGUP}) {
    Host host;
    const KeepsAlive alive;
    TcpPair tcp;
    const Watch watch(tcp.ours.get(), mask);
    const std::uint64_t before = stats().inspections;
    REQUIRE(send(tcp.peer.get(), "!", 1, MSG_OOB) == 1);
    REQUIRE(host.loop.run_until([&] { return stats().inspections > before; }));
    CHECK(host.loop.comes_to_sleep());
    CHECK(watch.calls == 0);
  }
}

TEST_CASE("the loop sleeps again once a timeout of 0 is disabled, made longer, or removed") {
  Host host;
  const KeepsAlive alive;
  for (const int then : {-1, 3600000}) {
    int calls = 0;
    const int timer = virt_uv_add_timeout(0, count_timeout, &calls, nullptr);
    REQUIRE(host.loop.run_until([&] { return calls > 1; }));
    CHECK_FALSE(host.loop.comes_to_sleep());
    virt_uv_update_timeout(timer, then);
    CHECK(host.loop.comes_to_sleep());
    virt_uv_update_timeout(timer, 0);
    CHECK_FALSE(host.loop.comes_to_sleep());
    virt_uv_remove_timeout(timer);
    CHECK(host.loop.comes_to_sleep());
  }
}

TEST_CASE("the loop sleeps again once a timeout of 0 has disabled or removed itself") {
  Host host;
  const KeepsAlive alive;
  struct Own {
    bool removes;
    int calls = 0;
    static void call(int timer, void *opaque) {
      Own &own = *static_cast<Own *>(opaque);
      ++own.calls;
      own.removes ? static_cast<void>(virt_uv_remove_timeout(timer)) : virt_uv_update_timeout(timer, -1);
    }
  };
  for (const bool removes : {true, false}) {
    Own own{removes};
    const int timer = virt_uv_add_timeout(0, Own::call, &own, nullptr);
    REQUIRE(host.loop.run_until([&] { return own.calls == 1; }));
    CHECK(host.loop.comes_to_sleep());
    if (!removes) virt_uv_remove_timeout(timer);
  }
}

TEST_CASE("the loop sleeps again once a file that is always ready is masked, or removed") {
  Host host;
  const KeepsAlive alive;
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  {
    const Watch watch(null.get(), VIR_EVENT_HANDLE_READABLE);
    REQUIRE(host.loop.run_until([&] { return watch.calls > 1; }));
    CHECK_FALSE(host.loop.comes_to_sleep());
    virt_uv_update_handle(watch.id, 0);
    CHECK(host.loop.comes_to_sleep());
    virt_uv_update_handle(watch.id, VIR_EVENT_HANDLE_READABLE);
    CHECK_FALSE(host.loop.comes_to_sleep());
  }
  CHECK(host.loop.comes_to_sleep());
}

TEST_CASE("the loop sleeps again once what was removed is freed") {
  Host host;
  const KeepsAlive alive;
  Signal signal;
  int freed = 0;
  virt_uv_remove_handle(virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, nullptr, nullptr));
  virt_uv_remove_timeout(virt_uv_add_timeout(0, count_timeout, &freed, count));
  REQUIRE(host.loop.run_until([&] { return freed == 1; }));
  CHECK(host.loop.comes_to_sleep());
}
