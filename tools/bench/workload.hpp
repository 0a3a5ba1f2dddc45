// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A workload: a function that drives one loop and returns its figures by name. A process runs one workload once. What
// the workloads are called, their sizes, units and targets are in workloads.py; main.cpp lists the functions.
#pragma once

#include <map>
#include <stdexcept>
#include <string>

namespace virt_uv::bench {

struct Plan {
  std::string loop;
  int size = 1;
  double seconds = 0.15;   // to measure for, after the warm-up
  int iterations = 0;      // instead of `seconds`, where it is not 0: for what counts instructions or system calls
  std::string uri;         // of the private libvirtd, where the workload needs one
  int trigger_input = -1;  // pipes to the process that causes events (trigger.hpp), where the workload needs one
  int trigger_output = -1;
};

using Results = std::map<std::string, double>;

Results wake(const Plan &plan);
Results wake_timers(const Plan &plan);
Results active(const Plan &plan);
Results churn(const Plan &plan);
Results life(const Plan &plan);
Results timers(const Plan &plan);
Results idle(const Plan &plan);
Results cross_thread(const Plan &plan);
Results attach(const Plan &plan);
Results ids(const Plan &plan);
Results unused(const Plan &plan);
Results memory(const Plan &plan);
Results remote(const Plan &plan);
Results connect_close(const Plan &plan);
Results latency(const Plan &plan);
Results crowd(const Plan &plan);
Results fleet(const Plan &plan);
Results quiet(const Plan &plan);

// For callbacks that C code calls: prints what is wrong and ends the process, so that the run counts as failed.
[[noreturn]] void fail(const char *what);

// For what a loop must have done if its figure is to mean anything.
inline void require(bool held, const char *what) {
  if (!held) throw std::runtime_error(what);
}

}  // namespace virt_uv::bench
