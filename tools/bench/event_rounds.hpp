// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Rounds of one change each: the trigger changes the test domain, and changes it again as soon as every one of some
// connections of this process has had the event's callback.
//
// The trigger is a process of its own, so that its work is in no figure. It reads a byte from its standard input,
// writes the time (CLOCK_MONOTONIC, a double) to its output, suspends or resumes the domain, and waits for the next
// byte. The time is written before the change is made: once the event has come, it can be read. The program that starts
// a workload starts the trigger too, and passes its pipes on.
#pragma once

#include <vector>

#include "connection.hpp"
#include "loops.hpp"
#include "workload.hpp"

namespace virt_uv::bench {

struct EventRounds {
  std::vector<double> sorted_us;  // from each change to the last callback
  double cpu_us_per_event;        // of this process

  double quantile(double share) const;
};

// For plan.seconds, after a warm-up. Registers the connections for lifecycle events and runs the loop.
EventRounds measure_event_rounds(Loop &loop, std::vector<Connection> &listeners, const Plan &plan);

// The trigger itself: until its input ends.
void serve_triggers(const std::string &uri);

}  // namespace virt_uv::bench
