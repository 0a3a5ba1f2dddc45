// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One busy eventfd among idle watches (wake) or idle timeouts (wake-timers): what an iteration costs, and whether the
// idle ones cost anything.
#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kHourMs = 3600 * 1000;

struct Busy {
  Window window;
  uint64_t wakes = 0;
};

void on_busy(int, int, int, void *opaque) {
  Busy *busy = static_cast<Busy *>(opaque);
  busy->window.iteration(++busy->wakes);
}

void on_idle_watch(int, int, int, void *) { fail("a watch fired whose eventfd was never ready"); }
void on_idle_timeout(int, void *) { fail("a timeout of an hour fired"); }

template <class Api>
Results measure(Api api, Loop &loop, const Plan &plan) {
  Eventfd fd(true);
  Busy busy{Window(loop, plan)};
  api.add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_busy, &busy, nullptr);
  loop.run();
  return {{"wakes", busy.window.rate()}};
}

}  // namespace

Results wake(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) {
    std::vector<Eventfd> idle = make_eventfds(plan.size, false);
    for (const Eventfd &fd : idle) api.add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_idle_watch, nullptr, nullptr);
    return measure(api, loop, plan);
  });
}

Results wake_timers(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) {
    for (int i = 0; i < plan.size; i++) api.add_timeout(kHourMs + i, on_idle_timeout, nullptr);
    return measure(api, loop, plan);
  });
}

}  // namespace virt_uv::bench
