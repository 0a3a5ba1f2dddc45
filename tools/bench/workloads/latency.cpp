// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The time from a change of a domain, made by another process, to the event's callback in this one.
#include "../body.hpp"
#include "../rounds.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Connection> told = open_connections(plan.uri, plan.size);
  Rounds rounds = measure_rounds(*loop, told, plan);
  return {{"p50", rounds.quantile(0.5)}, {"p99", rounds.quantile(0.99)}, {"cpu-event", rounds.cpu_us_per_event}};
}

}  // namespace

const Workload kLatency = [] {
  Workload ret = {
      "latency",
      "from a change in another process to its event's callback, real libvirtd",
      {1},
      {{"p50", "us", Better::kLower}, {"p99", "us", Better::kLower}, {"cpu-event", "us/event", Better::kLower}},
      {{1, "p50", 0.9, 0}, {1, "p99", 0.9, 0}},
      {kDefault, kGlib, kPython, kOurs},
      run,
  };
  ret.needs_daemon = true;
  ret.seconds_factor = 3;
  return ret;
}();

}  // namespace virt_uv::bench
