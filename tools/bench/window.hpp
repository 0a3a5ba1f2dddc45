// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The measured time of a run on one thread: first a warm-up, then the time that counts. An alarm signal ends each, so
// that the callbacks do not look at the clock, and no second thread changes how malloc behaves. Time and count are
// taken in the next iteration's callback: whole iterations are measured, also where one takes milliseconds.
//
// The time is the CPU time of the thread. The loops that are measured so always have something ready and never sleep,
// so on an idle machine that is the time that passes; on a busy one the others' share is not in it.
//
// The warm-up lasts until the loop polls all that is registered, and some iterations at least: where many watches are
// added, its time is over before the first, and a loop may find out about an fd at its first events. With
// plan.iterations the window is that many iterations long instead, after those.
#pragma once

#include <atomic>
#include <cstdint>

#include "loops.hpp"
#include "workload.hpp"

namespace virt_uv::bench {

class Window {
 public:
  // Starts the warm-up. One at a time.
  Window(Loop &loop, const Plan &plan);

  // Called in one callback of each iteration, with what was done so far. At the end it stops the loop and returns
  // false.
  bool iteration(uint64_t done) { return !due_.load(std::memory_order_relaxed) || mark(done); }

  // Is the warm-up over?
  bool has_begun() const { return started_; }

  double rate() const;

 private:
  struct Mark {
    double cpu_seconds;
    uint64_t done;
  };

  static void on_alarm(int);
  bool mark(uint64_t done);
  bool finish(const Mark &end);

  static std::atomic<bool> due_;  // the next iteration is to be marked

  Loop &loop_;
  double seconds_;
  bool counted_;
  int iterations_left_;
  int warm_up_iterations_ = 2;
  bool started_ = false;
  Mark start_{};
  Mark end_{};
};

// CLOCK_MONOTONIC in seconds: the same for all processes.
double now();

}  // namespace virt_uv::bench
