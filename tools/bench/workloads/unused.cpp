// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A host's own uv loop with one idle handle and nothing of libvirt's: a turn's time with our library attached, and
// without.
#include "../body.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

struct Host {
  Window window;
  uint64_t turns = 0;
};

void on_idle(uv_idle_t *idle) {
  Host *host = static_cast<Host *>(idle->data);
  host->window.turn(++host->turns);
}

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Host host{Window(*loop, plan.seconds)};
  uv_idle_t idle;
  uv_idle_init(loop->uv(), &idle);
  idle.data = &host;
  uv_idle_start(&idle, on_idle);
  loop->run();
  return {{"turn", 1e9 / host.window.rate()}};
}

}  // namespace

const Workload kUnused = {
    "unused", "a turn of a host's loop with nothing of libvirt's in it",
    {1},      {{"turn", "ns", Better::kLower}},
    {},       {kOurs, kLimit},
    run,
};

}  // namespace virt_uv::bench
