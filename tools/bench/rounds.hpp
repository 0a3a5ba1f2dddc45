// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Changes of the test domain, made by another process one after the other, each as soon as every one of some
// connections of this process has been told of the last.
#pragma once

#include <vector>

#include "connection.hpp"
#include "loop.hpp"
#include "workload.hpp"

namespace virt_uv::bench {

struct Rounds {
  std::vector<double> sorted_us;  // from each change until all were told
  double cpu_us_per_event;        // of this process

  double quantile(double share) const;
};

// For plan.seconds, after a warm-up. Registers the connections for lifecycle events and runs the loop.
Rounds measure_rounds(Loop &loop, std::vector<Connection> &told, const Plan &plan);

}  // namespace virt_uv::bench
