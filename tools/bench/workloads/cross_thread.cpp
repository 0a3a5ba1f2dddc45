// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N threads, each with a watch of its own, do what every remote call does: update(0), then update(READABLE), while the
// loop runs. Afterwards each watch must still fire: no wake-up was lost.
#include "../body.hpp"
#include "../crew.hpp"
#include "../eventfd.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr uint64_t kPairsAtOnce = 64;

struct Muster {
  Loop &loop;
  size_t missing;
};

struct Flipped {
  Eventfd fd{false};
  Muster *muster = nullptr;
  int watch = 0;
};

// Removes its watch, so that each is counted once.
void on_ready(int watch, int, int, void *opaque) {
  Muster *muster = static_cast<Flipped *>(opaque)->muster;
  LibvirtApi::remove_handle(watch);
  if (--muster->missing == 0) muster->loop.stop();
}

uint64_t flip(int watch) {
  for (uint64_t i = 0; i < kPairsAtOnce; i++) {
    virEventUpdateHandle(watch, 0);
    virEventUpdateHandle(watch, VIR_EVENT_HANDLE_READABLE);
  }
  return kPairsAtOnce;
}

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Flipped> flipped(static_cast<size_t>(plan.size));
  Muster muster{*loop, flipped.size()};
  for (Flipped &each : flipped) {
    each.muster = &muster;
    each.watch = LibvirtApi::add_handle(each.fd.fd(), VIR_EVENT_HANDLE_READABLE, on_ready, &each, nullptr);
  }
  Measured measured = measure_crew(*loop, plan.size, plan.seconds,
                                   [&](int worker) { return flip(flipped[static_cast<size_t>(worker)].watch); });
  for (Flipped &each : flipped) each.fd.make_ready();
  loop->run();
  return {{"pairs", measured.done / measured.seconds}};
}

}  // namespace

const Workload kCrossThread = {
    "cross-thread",
    "update(0), update(READABLE) pairs from N threads while the loop runs",
    {1, 4},
    {{"pairs", "1/s", Better::kHigher}},
    {{1, "pairs", 100, 0}, {4, "pairs", 50, 0}},
    {kDefault, kGlib, kOurs},
    run,
};

}  // namespace virt_uv::bench
