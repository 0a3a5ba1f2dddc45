// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N eventfds that are ready all the time: what a callback costs. The time is taken in the first one's callback, so
// whole rounds over all of them are measured.
#include "../body.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

struct Count {
  Window window;
  uint64_t callbacks = 0;
  uint64_t rounds = 0;
};

void on_ready(int, int, int, void *opaque) { static_cast<Count *>(opaque)->callbacks++; }

void on_first(int, int, int, void *opaque) {
  Count *count = static_cast<Count *>(opaque);
  count->rounds++;
  count->window.turn(++count->callbacks);
}

struct Active {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    std::vector<Eventfd> fds = make_eventfds(plan.size, true);
    Count count{Window(loop, plan.seconds)};
    for (const Eventfd &fd : fds)
      Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, &fd == &fds.front() ? on_first : on_ready, &count, nullptr);
    loop.run();
    require(2 * count.callbacks >= (count.rounds - 1) * static_cast<uint64_t>(plan.size),
            "the ready eventfds were not all served in each round");
    return {{"callbacks", count.window.rate()}};
  }
};

}  // namespace

const Workload kActive = {
    "active",
    "N eventfds ready in every turn",
    {1, 10, 100, 1000, 8000},
    {{"callbacks", "1/s", Better::kHigher}},
    {{100, "callbacks", 8, 0.9}, {8000, "callbacks", 100, 0.9}},
    {kDefault, kGlib, kPython, kOurs, kLimit},
    run_on_any_loop<Active>,
};

}  // namespace virt_uv::bench
