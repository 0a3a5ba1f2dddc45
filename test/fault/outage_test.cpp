// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One thing is lacking for a while: each call that asks for it fails. The log says so once for each watch and timeout,
// nothing is lost, and all goes on when it is there again.
#include <algorithm>
#include <vector>

#include "host.hpp"
#include "inject.h"
#include "pipes.hpp"

namespace {

void no_timeout(int, void *) {}
void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void count_event(int, int, int, void *opaque) { count(opaque); }

bool all_fired(const std::vector<int> &fired) {
  return std::all_of(fired.begin(), fired.end(), [](int times) { return times > 0; });
}

// Readable watches, one for each counter.
std::vector<int> watch_all(const Signal &signal, std::vector<int> &fired) {
  std::vector<int> ids;
  for (int &each : fired)
    ids.push_back(virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &each, nullptr));
  return ids;
}

// In a loop of its own, with nothing lacking.
void fire_and_remove(const std::vector<int> &ids, std::vector<int> &fired) {
  Host host;
  std::fill(fired.begin(), fired.end(), 0);
  CHECK(host.loop.run_until([&] { return all_fired(fired); }));
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}

}  // namespace

TEST_CASE("a walk and a drain that find no memory return UV_ENOMEM, say so, and work again") {
  Host host;
  const int timer = virt_uv_add_timeout(-1, no_timeout, nullptr, nullptr);
  int calls = 0;
  inject_every("operator new");
  CHECK(virt_uv_walk([](const virt_uv_entry *, void *opaque) { count(opaque); }, &calls) == UV_ENOMEM);
  CHECK(virt_uv_drain(count, &calls) == UV_ENOMEM);
  inject_stop();
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot walk: not enough memory") == 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot drain: not enough memory") == 1);
  CHECK(virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr) == 1);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
  CHECK(calls == 0);
}

TEST_CASE("timeouts that find no memory again and again are named once each, and fire when there is some") {
  for (const int frequency : {0, 1}) {
    INFO("frequency " << frequency);
    Host host;
    std::vector<int> fired(6000), ids;  // more than any queue had room for before
    for (int &each : fired) ids.push_back(virt_uv_add_timeout(frequency, count_timeout, &each, nullptr));
    const auto named = [&] { return host.lines.count(VIRT_UV_LOG_ERROR, "cannot be started: Cannot allocate memory"); };
    inject_every("operator new");
    REQUIRE(host.loop.run_until([&] { return named() > 0; }));
    host.loop.run_iterations(1);
    const int lacking = named();
    const long failures = inject_failures();
    for (const int id : ids) virt_uv_update_timeout(id, frequency);
    host.loop.run_iterations(1);
    CHECK(inject_failures() >= failures + lacking);  // a change has each looked at in the next iteration
    CHECK(named() == lacking);
    CHECK_FALSE(all_fired(fired));
    inject_stop();
    CHECK(host.loop.run_until([&] { return all_fired(fired); }));
    for (const int id : ids) CHECK(virt_uv_remove_timeout(id) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("a watch that cannot be armed is named once, and fires in the loop that is attached next") {
  Signal signal;
  signal.make_readable();
  std::vector<int> fired(1), ids;
  {
    Host host;
    ids = watch_all(signal, fired);
    inject_every("epoll_ctl");
    CHECK(host.loop.run_until([] { return inject_failures() >= 3; }));
    CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot be armed: no space left on device") == 1);
    CHECK(detach(host.loop));
    inject_stop();
    CHECK(fired[0] == 0);
  }
  fire_and_remove(ids, fired);
}

TEST_CASE("the log function may detach while watches are armed, and those that are left fire in the next loop") {
  struct Detacher {
    bool begun = false, done = false;
    static void log(virt_uv_log_level level, const char *, void *opaque) {
      Detacher &self = *static_cast<Detacher *>(opaque);
      if (level != VIRT_UV_LOG_ERROR || std::exchange(self.begun, true)) return;
      CHECK(virt_uv_detach([](void *own) { static_cast<Detacher *>(own)->done = true; }, &self) == 0);
    }
  } detacher;
  Signal signal;
  signal.make_readable();
  std::vector<int> fired(3), ids;
  Loop loop;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = Detacher::log;
  options.log_opaque = &detacher;
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
  ids = watch_all(signal, fired);
  inject_every("epoll_ctl");
  CHECK(loop.run_until([&] { return detacher.done; }));
  CHECK(inject_failures() == 1);  // after the detach, none of the others was tried
  inject_stop();
  loop.run_iterations(3);
  CHECK(fired == std::vector<int>(3));
  fire_and_remove(ids, fired);
}

TEST_CASE("the log function may detach while what was removed waits for its ff, and the loop is left with no handle") {
  struct Detacher {
    bool done = false;
    int freed = 0;
    static void log(virt_uv_log_level level, const char *, void *opaque) {
      if (level != VIRT_UV_LOG_ERROR) return;
      CHECK(virt_uv_detach([](void *own) { static_cast<Detacher *>(own)->done = true; }, opaque) == 0);
    }
    static void free(void *opaque) { ++static_cast<Detacher *>(opaque)->freed; }
  } detacher;
  Signal signal;
  signal.make_readable();
  std::vector<int> fired(1);
  Loop loop;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = Detacher::log;
  options.log_opaque = &detacher;
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
  const int removed = virt_uv_add_handle(
      signal.get(), 0, [](int, int, int, void *) {}, &detacher, Detacher::free);
  CHECK(virt_uv_remove_handle(removed) == 0);  // the loop comes to it before it comes to the next
  const std::vector<int> ids = watch_all(signal, fired);
  inject_every("epoll_ctl");
  CHECK(loop.run_until([&] { return detacher.done; }));
  inject_stop();
  CHECK(detacher.freed == 1);
  loop.run_iterations(3);
  CHECK(uv_loop_alive(loop.get()) == 0);
  fire_and_remove(ids, fired);
}
