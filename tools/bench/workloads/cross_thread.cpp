// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N threads, each with a watch of its own, do what every remote call does: update(0), then update(READABLE), while the
// loop runs. Afterwards each watch must still fire: no wake-up was lost.
#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../workers.hpp"

namespace virt_uv::bench {

namespace {

constexpr uint64_t kPairsAtOnce = 64;

struct Remaining {
  Loop &loop;
  size_t watches;
};

struct Updated {
  Eventfd fd{false};
  Remaining *remaining = nullptr;
  int watch = 0;
};

// Removes its watch, so that each is counted once.
void on_ready(int watch, int, int, void *opaque) {
  Remaining *remaining = static_cast<Updated *>(opaque)->remaining;
  LibvirtApi::remove_handle(watch);
  if (--remaining->watches == 0) remaining->loop.stop();
}

uint64_t update(int watch) {
  for (uint64_t i = 0; i < kPairsAtOnce; i++) {
    virEventUpdateHandle(watch, 0);
    virEventUpdateHandle(watch, VIR_EVENT_HANDLE_READABLE);
  }
  return kPairsAtOnce;
}

}  // namespace

Results cross_thread(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Updated> updated(static_cast<size_t>(plan.size));
  Remaining remaining{*loop, updated.size()};
  for (Updated &each : updated) {
    each.remaining = &remaining;
    each.watch = LibvirtApi::add_handle(each.fd.fd(), VIR_EVENT_HANDLE_READABLE, on_ready, &each, nullptr);
  }
  Measured measured = measure_workers(*loop, plan.size, plan.seconds,
                                      [&](int worker) { return update(updated[static_cast<size_t>(worker)].watch); });
  for (Updated &each : updated) each.fd.make_ready();
  loop->run();
  return {{"pairs", measured.done / measured.seconds}};
}

}  // namespace virt_uv::bench
