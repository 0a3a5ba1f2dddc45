// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "../workload.hpp"

namespace virt_uv::bench {

extern const Workload kWake;
extern const Workload kWakeTimers;
extern const Workload kActive;
extern const Workload kChurn;
extern const Workload kTimers;
extern const Workload kIdle;
extern const Workload kCrossThread;
extern const Workload kIds;
extern const Workload kUnused;
extern const Workload kMemory;
extern const Workload kSyscalls;
extern const Workload kRemote;
extern const Workload kLatency;
extern const Workload kCrowd;
extern const Workload kFleet;
extern const Workload kQuiet;

// What kSyscalls runs under strace; not one of workloads().
extern const Workload kCountedChurn;

}  // namespace virt_uv::bench
