// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When there is nothing to call, the loop sleeps: a state of an fd that no mask asks for, and work that is done, must
// not keep it going round. No callback would tell: such a loop only burns the processor.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

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

// A socket that was connected to a port at which nobody listens.
int refused_socket(int type) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto *const name = reinterpret_cast<sockaddr *>(&address);
  {
    Fd held(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    REQUIRE(bind(held.get(), name, size) == 0);
    REQUIRE(getsockname(held.get(), name, &size) == 0);
  }
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int err = connect(fd, name, size);
  if (type == SOCK_STREAM) REQUIRE((err < 0 && errno == EINPROGRESS));
  if (type == SOCK_DGRAM) REQUIRE(send(fd, "x", 1, 0) == 1);
  pollfd until_refused = {fd, POLLIN, 0};
  REQUIRE(poll(&until_refused, 1, 60000) == 1);
  REQUIRE((until_refused.revents & POLLERR) != 0);
  return fd;
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

TEST_CASE("a socket that is half-closed after it was masked lets the loop sleep") {
  Host host;
  const KeepsAlive alive;
  SocketPair pair;
  const Watch watch(pair.ours.get(), VIR_EVENT_HANDLE_READABLE);
  REQUIRE(host.loop.comes_to_sleep());
  virt_uv_update_handle(watch.id, 0);
  REQUIRE(shutdown(pair.peer.get(), SHUT_WR) == 0);
  CHECK(host.loop.comes_to_sleep());
  CHECK(watch.calls == 0);
  virt_uv_update_handle(watch.id, VIR_EVENT_HANDLE_READABLE);
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

TEST_CASE("a watch whose byte another has read in the same iteration is not put off: it gets the next one at once") {
  struct Reader {
    int fd, calls = 0;
    static void read_one(int, int, int, void *opaque) {
      Reader &self = *static_cast<Reader *>(opaque);
      char byte;
      CHECK(read(self.fd, &byte, 1) == 1);
      ++self.calls;
    }
  };
  Host host;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const Fd reading(ends[0]), writing(ends[1]);
  Reader readers[] = {{reading.get()}, {reading.get()}};
  int ids[2];
  for (int i = 0; i < 2; ++i)
    ids[i] = virt_uv_add_handle(reading.get(), VIR_EVENT_HANDLE_READABLE, Reader::read_one, &readers[i], nullptr);
  host.loop.run_iterations(2);
  const std::uint64_t before = stats().inspections;
  REQUIRE(write(writing.get(), "x", 1) == 1);
  host.loop.run_iterations(1);
  REQUIRE(stats().inspections == before + 2);
  REQUIRE(readers[0].calls + readers[1].calls == 1);
  REQUIRE(write(writing.get(), "xx", 2) == 2);
  host.loop.run_iterations(1);
  CHECK(readers[0].calls + readers[1].calls == 3);
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
}

// What libuv 1.45 to 1.48 only queue for io_uring, when a handle is stopped or closed in a callback, is done by the
// library as well: else epoll reports the error for ever.
TEST_CASE("a socket with a lasting error lets the loop sleep once its mask is 0, or it is removed, in its callback") {
  struct Reaction {
    bool removes;
    int calls = 0, events = 0;
    static void call(int watch, int, int events, void *opaque) {
      Reaction &self = *static_cast<Reaction *>(opaque);
      ++self.calls;
      self.events |= events;
      self.removes ? static_cast<void>(virt_uv_remove_handle(watch)) : virt_uv_update_handle(watch, 0);
    }
  };
  const int types[] = {SOCK_DGRAM, SOCK_STREAM};
  for (const int type : types)
    for (const bool removes : {false, true}) {
      INFO((type == SOCK_DGRAM ? "UDP" : "TCP") << (removes ? ", removed" : ", mask 0"));
      Host host;
      const KeepsAlive alive;
      Fd refused(refused_socket(type));
      Reaction reaction{removes};
      const int watch =
          virt_uv_add_handle(refused.get(), VIR_EVENT_HANDLE_READABLE, Reaction::call, &reaction, nullptr);
      REQUIRE(host.loop.run_until([&] { return reaction.calls > 0; }));
      CHECK((reaction.events & VIR_EVENT_HANDLE_ERROR) != 0);
      CHECK(host.loop.comes_to_sleep());
      CHECK(reaction.calls == 1);
      // The error is still there.
      pollfd still = {refused.get(), 0, 0};
      CHECK(poll(&still, 1, 0) == 1);
      if (removes) continue;
      virt_uv_update_handle(watch, VIR_EVENT_HANDLE_WRITABLE);
      CHECK(host.loop.run_until([&] { return reaction.calls > 1; }));
      CHECK(host.loop.comes_to_sleep());
      CHECK(virt_uv_remove_handle(watch) == 0);
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
