// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A loop that does not run, and the warning of it. This program's own clock_gettime() comes before libc's: so the time
// passes when a case says so.
#include <dlfcn.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>

#include "host.hpp"

namespace {

std::atomic<int> seconds_passed{0};

decltype(clock_gettime) *real_clock_gettime() {
  void *const symbol = dlsym(RTLD_NEXT, "clock_gettime");
  decltype(clock_gettime) *function = nullptr;
  std::memcpy(&function, &symbol, sizeof function);
  return function;
}

void never_called(int, void *) {}

// Gives the loop something to do, from another thread.
void add_and_remove() {
  std::thread([] { virt_uv_remove_timeout(virt_uv_add_timeout(1, never_called, nullptr, nullptr)); }).join();
}

int warnings(const Lines &lines) {
  return lines.count(VIRT_UV_LOG_WARN, "the loop has not run for 10 s, and libvirt has work for it");
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec *now) noexcept {
  static const auto function = real_clock_gettime();
  const int result = function(clock, now);
  now->tv_sec += seconds_passed;
  return result;
}

TEST_CASE("a thread that finds the loop asleep over a wake-up for ten seconds warns once") {
  Host host;
  host.loop.run_iterations(1);
  add_and_remove();
  seconds_passed += 9;
  add_and_remove();
  CHECK(warnings(host.lines) == 0);
  seconds_passed += 2;
  add_and_remove();
  add_and_remove();
  CHECK(warnings(host.lines) == 1);
  SECTION("and once more, when it has run meanwhile") {
    CHECK(drain(host.loop));
    add_and_remove();
    seconds_passed += 9;
    add_and_remove();
    CHECK(warnings(host.lines) == 1);
    seconds_passed += 2;
    add_and_remove();
    CHECK(warnings(host.lines) == 2);
  }
  CHECK(drain(host.loop));
}

TEST_CASE("a loop that has nothing to do is not warned of, however long it sleeps") {
  Host host;
  add_and_remove();
  CHECK(drain(host.loop));
  seconds_passed += 3600;
  add_and_remove();
  CHECK(warnings(host.lines) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("without a loop there is no warning") {
  Lines lines;
  {
    Loop loop;
    const virt_uv_options options = logging_to(lines);
    REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
    REQUIRE(detach(loop));
  }
  add_and_remove();
  seconds_passed += 3600;
  add_and_remove();
  CHECK(warnings(lines) == 0);
  Host host;
  CHECK(drain(host.loop));
  CHECK(warnings(host.lines) == 0);
}
