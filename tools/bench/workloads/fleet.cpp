// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N connections in one process, each registered for lifecycle events: the time from one change until all N have been
// told.
#include "../body.hpp"
#include "../rounds.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Connection> told = open_connections(plan.uri, plan.size);
  Rounds rounds = measure_rounds(*loop, told, plan);
  return {{"all-told", rounds.quantile(0.5) / 1000}, {"cpu-event", rounds.cpu_us_per_event}};
}

}  // namespace

const Workload kFleet = [] {
  Workload ret = {
      "fleet",
      "one change told to N connections of one process, real libvirtd",
      {500},
      {{"all-told", "ms", Better::kLower}, {"cpu-event", "us/event", Better::kLower}},
      {{500, "all-told", 0.75, 0}, {500, "cpu-event", 0.6, 0}},
      {kDefault, kGlib, kPython, kOurs},
      run,
  };
  ret.needs_daemon = true;
  ret.seconds_factor = 2;
  ret.largest_smoke_size = 20;
  return ret;
}();

}  // namespace virt_uv::bench
