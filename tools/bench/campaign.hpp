// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The order of runs. Each run is a process: one workload, one size, one loop. The loops take turns run by run, so that
// a machine that drifts hurts none of them more than another. Runs that only wait go side by side.
#pragma once

#include <functional>
#include <memory>

#include "daemon.hpp"
#include "series.hpp"

namespace virt_uv::bench {

struct Options {
  int runs = 7;
  double seconds = 0.15;
  bool smoke = false;  // one short run at a small size: does it work at all?
};

// `size` 0: all of the workload's.
struct Choice {
  const Workload *workload;
  int size;
};

class Campaign {
 public:
  explicit Campaign(const Options &options) : options_(options) {}

  // `done` has each measurement as it is made. False when a run failed.
  bool run(const std::vector<Choice> &choices, const std::function<void(const Measurement &)> &done);

 private:
  Measurement measure(const Workload &workload, int size);
  void measure_side_by_side(Measurement &ret);
  void measure_in_turns(Measurement &ret);
  Process start(const Measurement &measurement, const std::string &loop);
  void collect(Measurement &ret, const std::string &loop, Process &process);
  double seconds(const Workload &workload) const;

  Options options_;
  std::unique_ptr<Daemon> daemon_;  // from the first workload that needs it on
};

}  // namespace virt_uv::bench
