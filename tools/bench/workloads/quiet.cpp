// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A connection registered for events, on which nothing happens, keepalive off at both ends: how often does the loop
// wake in a minute? Another thread reads the count of turns, so that the measurement wakes the loop at its end only.
#include "../body.hpp"
#include "../connection.hpp"
#include "../crew.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kNoWorkers = 0;

int on_lifecycle(virConnectPtr, virDomainPtr, int, int, void *) { fail("an event came, and nothing had happened"); }

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Connection connection(plan.uri);
  connection.on_lifecycle(on_lifecycle, nullptr);
  Measured measured = measure_crew(*loop, kNoWorkers, plan.seconds, [](int) -> uint64_t { return 0; });
  return {{"wake-ups", measured.turns}};
}

}  // namespace

const Workload kQuiet = [] {
  Workload ret = {
      "quiet", "wake-ups in a minute of an idle connection, real libvirtd, keepalive off",
      {1},     {{"wake-ups", "1/min", Better::kLower}},
      {},      {kDefault, kGlib, kOurs},
      run,
  };
  ret.needs_daemon = true;
  ret.fixed_seconds = 60;
  return ret;
}();

}  // namespace virt_uv::bench
