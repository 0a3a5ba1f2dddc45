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
  signal.make_readable();
  std::vector<int> events(kFds), ids;
  for (int &each : events)
    ids.push_back(virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &each, nullptr));
  int zero = 0, one = 0, host_timer = 0, freed = 0;
  const int zero_id = virt_uv_add_timeout(0, count_timeout, &zero, nullptr);
  const int one_id = virt_uv_add_timeout(1, count_timeout, &one, nullptr);
  uv_timer_t timer;
  uv_timer_init(host.loop.get(), &timer);
  timer.data = &host_timer;

  host.loop.run_iterations(2);  // everything is armed
  std::fill(events.begin(), events.end(), 0);
  zero = 0;
  for (int i = 0; i < kIterations; ++i) {
    const int before = freed;
    virt_uv_remove_timeout(virt_uv_add_timeout(-1, count_timeout, &freed, count));
    virt_uv_remove_handle(virt_uv_add_handle(signal.get(), 0, count_event, &freed, count));
    uv_timer_start(
        &timer, [](uv_timer_t *own) { count(own->data); }, 0, 0);
    host.loop.run_iterations(1);
    CHECK(freed == before + 2);  // in the very next iteration
  }
  // libuv takes up to 48 times 1,024 events in one iteration: each ready fd has its turn in each, some have several.
  CHECK(*std::min_element(events.begin(), events.end()) >= kIterations);
  CHECK(one > 0);
  CHECK(host_timer == kIterations);
  CHECK(zero >= kIterations);
  for (const int id : ids) virt_uv_remove_handle(id);
  virt_uv_remove_timeout(zero_id);
  virt_uv_remove_timeout(one_id);
  host.loop.close(reinterpret_cast<uv_handle_t *>(&timer));
  CHECK(drain(host.loop));
}

namespace {

// A timeout whose `ff` adds the next and removes it: there is always one more to free.
struct Chain {
  int freed = 0;
  bool goes_on = true;

  void add_and_remove() { virt_uv_remove_timeout(virt_uv_add_timeout(-1, count_timeout, this, on_free)); }

  static void on_free(void *opaque) {
    Chain &self = *static_cast<Chain *>(opaque);
    ++self.freed;
    if (self.goes_on) self.add_and_remove();
  }
};

}  // namespace

TEST_CASE("frees that go on for ever hold up neither watches nor timeouts, nor the host") {
  Host host;
  Signal signal;
  signal.make_readable();
  Chain chain;
  chain.add_and_remove();
  int events = 0, zero = 0, host_idle = 0;
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
  const int timer = virt_uv_add_timeout(0, count_timeout, &zero, nullptr);
  uv_idle_t idle;
  uv_idle_init(host.loop.get(), &idle);
  idle.data = &host_idle;
  uv_idle_start(&idle, [](uv_idle_t *own) { count(own->data); });
  host.loop.run_iterations(2);
  chain.freed = events = zero = host_idle = 0;
  host.loop.run_iterations(kIterations);
  CHECK(events == kIterations);
  CHECK(zero == kIterations);
  CHECK(host_idle == kIterations);
  CHECK(chain.freed >= kIterations);
  chain.goes_on = false;
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  host.loop.close(reinterpret_cast<uv_handle_t *>(&idle));
  CHECK(drain(host.loop));
}

TEST_CASE("timeouts that are due again before their callback has returned leave the others their turns") {
  Host host;
  Signal signal;
  signal.make_readable();
  int slow = 0, events = 0, host_timer = 0;
  const auto hold = [](int, void *opaque) {
    const std::uint64_t start = uv_hrtime();
    while (uv_hrtime() - start < 2'000'000) continue;
    count(opaque);
  };
  const int timers[] = {virt_uv_add_timeout(1, hold, &slow, nullptr), virt_uv_add_timeout(1, hold, &slow, nullptr)};
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
  REQUIRE(host.loop.run_until([&] { return slow > 0; }));  // from then on, one is due whenever the loop looks
  uv_timer_t timer;
  uv_timer_init(host.loop.get(), &timer);
  timer.data = &host_timer;
  slow = events = 0;
  for (int i = 0; i < kIterations; ++i) {
    uv_timer_start(
        &timer, [](uv_timer_t *own) { count(own->data); }, 0, 0);
    host.loop.run_iterations(1);
  }
  CHECK(events == kIterations);
  CHECK(host_timer == kIterations);
  CHECK(slow >= kIterations);
  CHECK(slow <= 2 * kIterations);
  CHECK(virt_uv_remove_handle(watch) == 0);
  for (const int id : timers) CHECK(virt_uv_remove_timeout(id) == 0);
  host.loop.close(reinterpret_cast<uv_handle_t *>(&timer));
  CHECK(drain(host.loop));
}
