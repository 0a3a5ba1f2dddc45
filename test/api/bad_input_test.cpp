// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What each function of the C API returns for arguments that make no sense, as virt-uv.h documents it.
#include <fcntl.h>

#include <climits>
#include <cstring>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

void no_handle_callback(int, int, int, void *) {}
void no_timeout_callback(int, void *) {}
void count_free(void *opaque) { ++*static_cast<int *>(opaque); }
void ignore(void *) {}

// An options struct of a later version: more members, `extra` in the first byte of them.
struct LaterOptions {
  virt_uv_options known;
  unsigned char extra[64];
};

int attach_later(uv_loop_t *loop, unsigned char extra, std::size_t size = sizeof(LaterOptions)) {
  LaterOptions options{};
  options.known = VIRT_UV_OPTIONS_INIT;
  options.known.size = size;
  options.extra[60] = extra;
  return virt_uv_attach(loop, &options.known);
}

}  // namespace

TEST_CASE("attach refuses options whose size is too small") {
  Loop loop;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  for (const std::size_t size : {std::size_t{0}, sizeof(std::size_t), sizeof options - 1}) {
    options.size = size;
    CHECK(virt_uv_attach(loop.get(), &options) == UV_EINVAL);
  }
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("attach takes options of a later version while they ask for nothing new") {
  Loop loop;
  CHECK(attach_later(loop.get(), 1) == UV_EINVAL);
  REQUIRE(attach_later(loop.get(), 0) == 0);
  CHECK(detach(loop));
}

TEST_CASE("attach refuses an absurd size of the options without reading so far") {
  Loop loop;
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4096})
    CHECK(attach_later(loop.get(), 0, size) == UV_EINVAL);
}

TEST_CASE("attach takes options of up to a page, and refuses larger ones unread") {
  std::vector<char> bytes(2 * 4096);
  const virt_uv_options known = VIRT_UV_OPTIONS_INIT;
  std::memcpy(bytes.data(), &known, sizeof known);
  auto *options = reinterpret_cast<virt_uv_options *>(bytes.data());
  Loop loop;
  options->size = 4097;
  CHECK(virt_uv_attach(loop.get(), options) == UV_EINVAL);
  options->size = 4096;
  REQUIRE(virt_uv_attach(loop.get(), options) == 0);
  CHECK(detach(loop));
}

TEST_CASE("attach refuses every flag, as none is defined") {
  Loop loop;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  for (unsigned bit = 0; bit < 32; ++bit) {
    options.flags = 1u << bit;
    CHECK(virt_uv_attach(loop.get(), &options) == UV_EINVAL);
  }
}

TEST_CASE("where attach refuses its options, the log says whether it is for the size or which flags") {
  Host host;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.size = 0;
  CHECK(virt_uv_attach(host.loop.get(), &options) == UV_EINVAL);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "start from VIRT_UV_OPTIONS_INIT") == 1);
  options = VIRT_UV_OPTIONS_INIT;
  options.flags = 0x40;
  CHECK(virt_uv_attach(host.loop.get(), &options) == UV_EINVAL);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "flags 0x40 is not known") == 1);
}

TEST_CASE("attach returns 0 for the loop that is attached, UV_EBUSY for another, and takes new options over") {
  Host host;
  Loop other;
  Lines lines;
  const virt_uv_options options = logging_to(lines);
  CHECK(virt_uv_attach(host.loop.get(), &options) == 0);
  CHECK(virt_uv_attach(other.get(), nullptr) == UV_EBUSY);
  CHECK(virt_uv_loop() == host.loop.get());
  CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "callback is NULL") == 1);
  CHECK(detach(host.loop));  // while `lines` lives
}

TEST_CASE("an attach that comes too early, while a detach goes on, changes nothing") {
  Host host;
  bool done = false;
  REQUIRE(virt_uv_detach([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &done) == 0);
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.slow_callback_ms = 1;
  CHECK(virt_uv_attach(host.loop.get(), &options) == UV_EBUSY);
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_EALREADY);
  CHECK(virt_uv_drain(ignore, nullptr) == UV_ENOTCONN);
  CHECK(virt_uv_loop() == nullptr);
  REQUIRE(host.loop.run_until([&] { return done; }));
  CHECK(host.lines.count(VIRT_UV_LOG_INFO, "detached") == 1);
}

TEST_CASE("without a loop, detach and drain return UV_ENOTCONN") {
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_ENOTCONN);
  CHECK(virt_uv_drain(ignore, nullptr) == UV_ENOTCONN);
  CHECK(virt_uv_drain(nullptr, nullptr) == UV_EINVAL);
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("add_handle refuses what is no open fd and a NULL callback, says why, and never calls ff") {
  Host host;
  Signal signal;
  Signal gone;
  const int closed = gone.get();
  gone.close();
  int freed = 0;
  const virt_uv_stats before = stats();
  for (const int fd : {-1, INT_MIN, INT_MAX, closed})
    CHECK(virt_uv_add_handle(fd, VIR_EVENT_HANDLE_READABLE, no_handle_callback, &freed, count_free) == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot watch fd") == 4);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "Bad file descriptor") == 4);
  const Fd directory(open("/", O_RDONLY | O_CLOEXEC));
  for (const int fd : {signal.get(), directory.get(), closed})
    CHECK(virt_uv_add_handle(fd, VIR_EVENT_HANDLE_READABLE, nullptr, &freed, count_free) == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "callback is NULL") == 3);
  CHECK(drain(host.loop));
  CHECK(freed == 0);
  CHECK(stats().failures == before.failures + 7);
  CHECK(stats().adds == before.adds);
}

TEST_CASE("add_timeout refuses a NULL callback, says why, and never calls ff") {
  Host host;
  int freed = 0;
  CHECK(virt_uv_add_timeout(1, nullptr, &freed, count_free) == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot add a timeout: the callback is NULL") == 1);
  CHECK(drain(host.loop));
  CHECK(freed == 0);
}

TEST_CASE("unknown event bits are ignored, in add and in update") {
  Host host;
  Signal signal;
  signal.make_readable();
  int events = 0;
  const auto note = [](int, int, int bits, void *opaque) { *static_cast<int *>(opaque) |= bits; };
  const int watch = virt_uv_add_handle(signal.get(), ~0xf, note, &events, nullptr);
  REQUIRE(watch >= 1);
  host.loop.run_iterations(3);
  CHECK(events == 0);
  virt_uv_update_handle(watch, 0x7ffffff0 | VIR_EVENT_HANDLE_READABLE);
  REQUIRE(host.loop.run_until([&] { return events != 0; }));
  CHECK(events == VIR_EVENT_HANDLE_READABLE);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("ids that are not registered: remove returns -1, update does nothing") {
  Host host;
  Signal signal;
  const int watch = virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr);
  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  const int stale_watch = virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr);
  const int stale_timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  REQUIRE(virt_uv_remove_handle(stale_watch) == 0);
  REQUIRE(virt_uv_remove_timeout(stale_timer) == 0);
  CHECK(virt_uv_remove_handle(stale_watch) == -1);  // before its ff
  CHECK(virt_uv_remove_timeout(stale_timer) == -1);
  REQUIRE(host.loop.run_until([] { return stats().frees_pending == 0; }));
  host.loop.run_iterations(2);  // no wake-up is under way
  const std::uint64_t wakeups = stats().wakeups;
  for (const int id : {0, -1, INT_MIN, INT_MAX, stale_watch, stale_timer, 1 << 20, 1 << 19}) {
    if (id == watch || id == timer) continue;
    virt_uv_update_handle(id, VIR_EVENT_HANDLE_READABLE);
    virt_uv_update_timeout(id, 0);
    CHECK(virt_uv_remove_handle(id) == -1);
    CHECK(virt_uv_remove_timeout(id) == -1);
  }
  CHECK(stats().wakeups == wakeups);
  CHECK(stats().watches == 1);
  CHECK(stats().timeouts == 1);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("a stale id never reaches the watch that has its place now") {
  Host host;
  Signal signal;
  const int stale = virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr);
  REQUIRE(virt_uv_remove_handle(stale) == 0);
  REQUIRE(drain(host.loop));
  int fired = 0;
  signal.make_readable();
  const int now = virt_uv_add_handle(
      signal.get(), VIR_EVENT_HANDLE_READABLE, [](int, int, int, void *opaque) { ++*static_cast<int *>(opaque); },
      &fired, nullptr);
  CHECK(now != stale);
  virt_uv_update_handle(stale, 0);
  CHECK(virt_uv_remove_handle(stale) == -1);
  CHECK(host.loop.run_until([&] { return fired > 0; }));
  CHECK(virt_uv_remove_handle(now) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("a negative frequency is a disabled timeout, and INT_MAX a very late one") {
  Host host;
  int fired = 0;
  std::vector<int> timers;
  for (const int frequency : {INT_MIN, -2, -1, INT_MAX})
    timers.push_back(virt_uv_add_timeout(
        frequency, [](int, void *opaque) { ++*static_cast<int *>(opaque); }, &fired, nullptr));
  host.loop.run_iterations(10);
  CHECK(fired == 0);
  for (const int timer : timers) CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("an update to a negative frequency stops a timeout, and one to INT_MIN too") {
  Host host;
  int fired = 0;
  const int timer = virt_uv_add_timeout(
      0, [](int, void *opaque) { ++*static_cast<int *>(opaque); }, &fired, nullptr);
  for (const int frequency : {INT_MIN, -1}) {
    virt_uv_update_timeout(timer, 0);
    fired = 0;
    REQUIRE(host.loop.run_until([&] { return fired > 0; }));
    virt_uv_update_timeout(timer, frequency);
    fired = 0;
    host.loop.run_iterations(5);
    CHECK(fired == 0);
  }
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("get_stats writes as much as the caller's struct has, and no more") {
  CHECK(virt_uv_get_stats(nullptr) == UV_EINVAL);
  virt_uv_stats wanted;
  std::memset(&wanted, 0x5a, sizeof wanted);
  wanted.size = sizeof wanted.size - 1;
  CHECK(virt_uv_get_stats(&wanted) == UV_EINVAL);
  wanted.size = sizeof wanted.size;
  REQUIRE(virt_uv_get_stats(&wanted) == 0);
  CHECK(wanted.watches == 0x5a5a5a5a5a5a5a5a);
  wanted.size = offsetof(virt_uv_stats, adds);
  REQUIRE(virt_uv_get_stats(&wanted) == 0);
  CHECK(wanted.watches == 0);
  CHECK(wanted.adds == 0x5a5a5a5a5a5a5a5a);
  wanted.size = sizeof wanted + 100;
  REQUIRE(virt_uv_get_stats(&wanted) == 0);
  CHECK(wanted.size == sizeof wanted);
}

TEST_CASE("walk refuses a NULL callback") { CHECK(virt_uv_walk(nullptr, nullptr) == UV_EINVAL); }
