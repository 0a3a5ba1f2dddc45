// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Remote calls from N worker threads that share one connection with keepalive on, as the threads of one application do.
#include "../body.hpp"
#include "../connection.hpp"
#include "../crew.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Connection connection(plan.uri);
  connection.keep_alive();
  auto call = [&](int) -> uint64_t {
    connection.call();
    return 1;
  };
  Measured measured = measure_crew(*loop, plan.size, plan.seconds, call);
  return {{"calls", measured.done / measured.seconds},
          {"cpu", measured.cpu_seconds * 1e6 / measured.done},
          {"wake-ups", measured.turns / measured.done}};
}

}  // namespace

const Workload kRemote = [] {
  Workload ret = {
      "remote",
      "remote calls from N worker threads, real libvirtd, keepalive on",
      {1, 4},
      {{"calls", "1/s", Better::kHigher}, {"cpu", "us/call", Better::kLower}, {"wake-ups", "1/call", Better::kLower}},
      {{1, "calls", 1.15, 0},
       {4, "calls", 1.25, 0},
       {1, "cpu", 0.75, 0},
       {4, "cpu", 0.7, 0},
       {1, "wake-ups", 0.5, 0},
       {4, "wake-ups", 0.5, 0}},
      {kDefault, kGlib, kPython, kOurs},
      run,
  };
  ret.needs_daemon = true;
  ret.seconds_factor = 2;
  return ret;
}();

}  // namespace virt_uv::bench
