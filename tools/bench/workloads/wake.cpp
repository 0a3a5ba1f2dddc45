// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One busy eventfd among idle watches (wake) or idle timeouts (wake-timers): what a turn of the loop costs, and
// whether the idle ones cost anything.
#include "../body.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kHourMs = 3600 * 1000;

struct Busy {
  Window window;
  uint64_t wakes = 0;
};

void on_busy(int, int, int, void *opaque) {
  Busy *busy = static_cast<Busy *>(opaque);
  busy->window.turn(++busy->wakes);
}

void on_idle_watch(int, int, int, void *) { fail("a watch fired whose eventfd was never ready"); }
void on_idle_timeout(int, void *) { fail("a timeout of an hour fired"); }

template <class Api>
Results measure(Loop &loop, const Plan &plan) {
  Eventfd fd(true);
  Busy busy{Window(loop, plan.seconds)};
  Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_busy, &busy, nullptr);
  loop.run();
  return {{"wakes", busy.window.rate()}};
}

struct AmongWatches {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    std::vector<Eventfd> idle = make_eventfds(plan.size, false);
    for (const Eventfd &fd : idle) Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_idle_watch, nullptr, nullptr);
    return measure<Api>(loop, plan);
  }
};

struct AmongTimeouts {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    for (int i = 0; i < plan.size; i++) Api::add_timeout(kHourMs + i, on_idle_timeout, nullptr);
    return measure<Api>(loop, plan);
  }
};

}  // namespace

const Workload kWake = {
    "wake",
    "one busy eventfd among N idle watches",
    {1, 10, 100, 1000, 8000},
    {{"wakes", "1/s", Better::kHigher}},
    {{1, "wakes", 1.5, 0.95}, {8000, "wakes", 400, 0.95}},
    {kDefault, kGlib, kPython, kOurs, kLimit},
    run_on_any_loop<AmongWatches>,
};

const Workload kWakeTimers = {
    "wake-timers",
    "one busy eventfd among N idle timeouts",
    {1, 1000, 10000},
    {{"wakes", "1/s", Better::kHigher}},
    {},
    {kDefault, kGlib, kPython, kOurs, kLimit},
    run_on_any_loop<AmongTimeouts>,
};

}  // namespace virt_uv::bench
