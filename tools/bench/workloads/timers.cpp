// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N timeouts, of which one at random is restarted with its own interval, as keepalive does for each message: 100 times
// in each turn of the loop. None comes due.
#include <random>

#include "../body.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kUpdatesPerTurn = 100;
constexpr int kMinuteMs = 60 * 1000;
constexpr int kIntervals = 1000;

void on_timeout(int, void *) { fail("a timeout fired that was restarted long before it was due"); }

template <class Api>
struct Restarter {
  std::vector<typename Api::Timer> timers;
  Window window;
  std::minstd_rand random{1};
  uint64_t updates = 0;

  static int interval(size_t index) { return kMinuteMs + static_cast<int>(index % kIntervals); }

  static void on_turn(int, int, int, void *opaque) {
    Restarter *self = static_cast<Restarter *>(opaque);
    self->window.turn(self->updates);
    for (int i = 0; i < kUpdatesPerTurn; i++) {
      size_t index = self->random() % self->timers.size();
      Api::update_timeout(self->timers[index], interval(index));
    }
    self->updates += kUpdatesPerTurn;
  }
};

struct Timers {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    Eventfd fd(true);
    Restarter<Api> restarter{{}, Window(loop, plan.seconds)};
    for (size_t i = 0; i < static_cast<size_t>(plan.size); i++)
      restarter.timers.push_back(Api::add_timeout(Restarter<Api>::interval(i), on_timeout, nullptr));
    Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, Restarter<Api>::on_turn, &restarter, nullptr);
    loop.run();
    return {{"updates", restarter.window.rate()}};
  }
};

}  // namespace

const Workload kTimers = {
    "timers",
    "update one of N timeouts at random, 100 in every turn",
    {1000, 10000},
    {{"updates", "1/s", Better::kHigher}},
    {{1000, "updates", 10, 1}, {10000, "updates", 50, 1}},
    {kDefault, kGlib, kPython, kOurs, kLimit},
    run_on_any_loop<Timers>,
};

}  // namespace virt_uv::bench
