// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The cause of an event, in a process of its own, so that its work is in no figure. `virt-uv-bench --trigger URI` reads
// a byte from its standard input, writes the time (CLOCK_MONOTONIC, a double) to its output, suspends or resumes the
// test domain, and waits for the next byte. The time is written before the change is made: once the event has come, it
// can be read.
#pragma once

#include <string>

#include "process.hpp"

namespace virt_uv::bench {

class Trigger {
 public:
  explicit Trigger(const std::string &uri);
  void fire();
  double fired_at();  // once for each fire()

 private:
  Process process_;
};

// The process itself: until its input ends.
void serve_triggers(const std::string &uri);

}  // namespace virt_uv::bench
