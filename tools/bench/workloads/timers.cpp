// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N timeouts, of which one at random is restarted with its own interval, as keepalive does for each message: 100 times
// in each iteration of the loop. None comes due.
#include <random>

#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kUpdatesPerIteration = 100;
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

  static void on_iteration(int, int, int, void *opaque) {
    Restarter *self = static_cast<Restarter *>(opaque);
    self->window.iteration(self->updates);
    for (int i = 0; i < kUpdatesPerIteration; i++) {
      size_t index = self->random() % self->timers.size();
      Api::update_timeout(self->timers[index], interval(index));
    }
    self->updates += kUpdatesPerIteration;
  }
};

}  // namespace

Results timers(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) -> Results {
    using Api = decltype(api);
    Eventfd fd(true);
    Restarter<Api> restarter{{}, Window(loop, plan)};
    for (size_t i = 0; i < static_cast<size_t>(plan.size); i++)
      restarter.timers.push_back(api.add_timeout(Restarter<Api>::interval(i), on_timeout, nullptr));
    api.add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, Restarter<Api>::on_iteration, &restarter, nullptr);
    loop.run();
    return {{"updates", restarter.window.rate()}};
  });
}

}  // namespace virt_uv::bench
