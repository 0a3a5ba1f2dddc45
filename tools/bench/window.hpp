// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The measured stretch of a run on one thread: first a warm-up, then the time that counts. An alarm signal ends each,
// so that the callbacks need no look at the clock, and no second thread changes how malloc behaves. Time and count are
// taken in the next turn's callback: whole turns are measured, also where one takes milliseconds.
//
// The time is the CPU time of the thread. The loops that are measured so always have something ready and never sleep,
// so on an idle machine that is the time that passes; on a busy one the others' share is not in it.
#pragma once

#include <atomic>
#include <cstdint>

#include "loop.hpp"

namespace virt_uv::bench {

class Window {
 public:
  // Starts the warm-up. One at a time.
  Window(Loop &loop, double seconds);

  // Called in one callback of each turn, with what was done so far; stops the loop at the end.
  void turn(uint64_t done) {
    if (alarm_rang_.load(std::memory_order_relaxed)) mark(done);
  }

  uint64_t done() const { return end_.done - start_.done; }
  double rate() const;

 private:
  struct Mark {
    double cpu_seconds;
    uint64_t done;
  };

  static void on_alarm(int);
  void mark(uint64_t done);

  static std::atomic<bool> alarm_rang_;

  Loop &loop_;
  double seconds_;
  bool warm_ = false;
  Mark start_{};
  Mark end_{};
};

// CLOCK_MONOTONIC in seconds: the same for all processes.
double now();

}  // namespace virt_uv::bench
