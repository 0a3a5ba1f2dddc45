// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N timeouts of frequency 0, which fire in every turn. The time is taken in the first one's callback.
#include "../body.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

struct Count {
  Window window;
  uint64_t callbacks = 0;
};

void on_timeout(int, void *opaque) { static_cast<Count *>(opaque)->callbacks++; }

void on_first(int, void *opaque) {
  Count *count = static_cast<Count *>(opaque);
  count->window.turn(++count->callbacks);
}

struct Idle {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    Count count{Window(loop, plan.seconds)};
    for (int i = 0; i < plan.size; i++) Api::add_idle(i == 0 ? on_first : on_timeout, &count);
    loop.run();
    return {{"callbacks", count.window.rate()}};
  }
};

}  // namespace

const Workload kIdle = {
    "idle",
    "N timeouts of frequency 0",
    {1, 100},
    {{"callbacks", "1/s", Better::kHigher}},
    {{1, "callbacks", 1.5, 0.9}, {100, "callbacks", 8, 0.9}},
    {kDefault, kGlib, kPython, kOurs, kLimit},
    run_on_any_loop<Idle>,
};

}  // namespace virt_uv::bench
