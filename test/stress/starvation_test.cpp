// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Nobody starves: with a 0 timeout and thousands of ready fds, everybody has a turn, counted in iterations.
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

constexpr int kFds = 3000;
constexpr int kIterations = 60;

void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void count_event(int, int, int, void *opaque) { count(opaque); }

void allow_fds() {
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(limit.rlim_cur > kFds + 100);
}

}  // namespace

TEST_CASE("a 0 timeout, thousands of ready fds, frees and the host's own timers all have their turns") {
  allow_fds();
  Host host;
  Signal signal;
  signal.raise();
  std::vector<int> events(kFds), ids;
  for (int &each : events)
    ids.push_back(virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &each, nullptr));
  int zero = 0, one = 0, host_timer = 0, freed = 0;
  const int zero_id = virt_uv_add_timeout(0, count_timeout, &zero, nullptr);
  const int one_id = virt_uv_add_timeout(1, count_timeout, &one, nullptr);
  uv_timer_t timer;
  uv_timer_init(host.loop.get(), &timer);
  timer.data = &host_timer;
  uv_timer_start(&timer, [](uv_timer_t *own) { count(own->data); }, 1, 1);

  host.loop.turn(2);  // everything is armed
  std::fill(events.begin(), events.end(), 0);
  zero = 0;
  for (int i = 0; i < kIterations; ++i) {
    const int before = freed;
    virt_uv_remove_timeout(virt_uv_add_timeout(-1, count_timeout, &freed, count));
    virt_uv_remove_handle(virt_uv_add_handle(signal.get(), 0, count_event, &freed, count));
    host.loop.turn(1);
    CHECK(freed == before + 2);  // in the very next iteration
  }
  // libuv takes up to 48 times 1,024 events in one iteration: each ready fd has its turn in each, some have several.
  CHECK(*std::min_element(events.begin(), events.end()) >= kIterations);
  CHECK(one > 0);
  CHECK(host_timer > 0);
  CHECK(zero >= kIterations);
  for (const int id : ids) virt_uv_remove_handle(id);
  virt_uv_remove_timeout(zero_id);
  virt_uv_remove_timeout(one_id);
  host.loop.close(reinterpret_cast<uv_handle_t *>(&timer));
  CHECK(drain(host.loop));
}
