// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdexcept>

#include "workloads/workloads.hpp"

namespace virt_uv::bench {

const std::vector<const Workload *> &workloads() {
  static const std::vector<const Workload *> all = {
      &kWake,   &kWakeTimers, &kActive,   &kChurn,  &kTimers,  &kIdle,  &kCrossThread, &kIds,
      &kUnused, &kMemory,     &kSyscalls, &kRemote, &kLatency, &kCrowd, &kFleet,       &kQuiet,
  };
  return all;
}

const Workload &workload(const std::string &name) {
  for (const Workload *candidate : workloads())
    if (name == candidate->name) return *candidate;
  if (name == kCountedChurn.name) return kCountedChurn;
  throw std::runtime_error("no workload is called '" + name + "': --list names them");
}

}  // namespace virt_uv::bench
