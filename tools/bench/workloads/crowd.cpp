// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N other connections lie idle in the same process, while one has events, and then one worker makes remote calls on it.
#include "../body.hpp"
#include "../crew.hpp"
#include "../rounds.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Connection> idle = open_connections(plan.uri, plan.size);
  std::vector<Connection> busy = open_connections(plan.uri, 1);
  Rounds rounds = measure_rounds(*loop, busy, plan);
  Measured calls = measure_crew(*loop, 1, plan.seconds, [&](int) -> uint64_t {
    busy.front().call();
    return 1;
  });
  return {{"p50", rounds.quantile(0.5)},
          {"cpu-event", rounds.cpu_us_per_event},
          {"cpu-call", calls.cpu_seconds * 1e6 / calls.done}};
}

}  // namespace

const Workload kCrowd = [] {
  Workload ret = {
      "crowd",
      "event latency and remote calls beside N idle connections, real libvirtd",
      {500},
      {{"p50", "us", Better::kLower},
       {"cpu-event", "us/event", Better::kLower},
       {"cpu-call", "us/call", Better::kLower}},
      {{500, "p50", 0.55, 0}, {500, "cpu-event", 0.2, 0}, {500, "cpu-call", 0.4, 0}},
      {kDefault, kGlib, kOurs},
      run,
  };
  ret.needs_daemon = true;
  ret.seconds_factor = 2;
  ret.largest_smoke_size = 20;
  return ret;
}();

}  // namespace virt_uv::bench
