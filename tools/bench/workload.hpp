// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A workload: what it is called, the sizes it is run at, the figures that it yields with the project's targets for
// each, and the function that runs it once, in a process of its own. Each lies in a file of workloads/; registry.cpp
// lists them.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace virt_uv::bench {

enum class Better { kHigher, kLower };

struct Figure {
  const char *name;
  const char *unit;
  Better better;
};

// What ours is to reach at one size, as a ratio to the default loop's and to the limit's figure, or as it stands; 0: no
// target.
struct Target {
  int size;
  const char *figure;
  double to_default;
  double to_limit;
  double absolute = 0;
};

// One run, as the process that makes it is told.
struct Plan {
  std::string loop;
  int size;
  double seconds;   // to measure for, after the warm-up
  std::string uri;  // of the private libvirtd, where the workload needs one
};

using Results = std::map<std::string, double>;
using Run = Results (*)(const Plan &plan);

struct Workload {
  const char *name;
  const char *what;
  std::vector<int> sizes;
  std::vector<Figure> figures;
  std::vector<Target> targets;
  std::vector<std::string> loops;
  Run run;
  bool needs_daemon = false;
  double seconds_factor = 1;  // of --seconds
  double fixed_seconds = 0;   // instead of --seconds, and all loops side by side, once: for runs that only wait
  int largest_smoke_size = 100;
};

// Throws where a name is unknown.
const Workload &workload(const std::string &name);
const std::vector<const Workload *> &workloads();

}  // namespace virt_uv::bench
