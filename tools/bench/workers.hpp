// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Worker threads beside the loop, which runs on the main thread, for a warm-up and a measured time.
#pragma once

#include <cstdint>
#include <functional>

#include "loops.hpp"

namespace virt_uv::bench {

struct Measured {
  double seconds;
  double cpu_seconds;  // of this process, all threads
  double done;
  double iterations;  // of the loop
};

// Each worker calls `work(worker)` again and again; it returns how much it has done. Runs the loop.
Measured measure_workers(Loop &loop, int workers, double seconds, const std::function<uint64_t(int worker)> &work);

// CPU time of this process so far.
double cpu_seconds();

}  // namespace virt_uv::bench
