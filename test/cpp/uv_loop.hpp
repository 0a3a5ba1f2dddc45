/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A uv loop for one test: turned until something holds, and closed with nothing left on it. */
#pragma once

#include <uv.h>

#include <functional>

class UvLoop {
 public:
  UvLoop();
  ~UvLoop(); /* fails the test when a handle is left; those of a detach under way are waited for */

  uv_loop_t* get() { return &loop_; }

  /* Turns the loop until `done()`; fails the test when that takes longer than any machine should need. */
  void run_until(const std::function<bool()>& done);

  /* One iteration that doesn't wait. */
  void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }

 private:
  uv_loop_t loop_;
  uv_timer_t limit_;
  bool expired_ = false;
};
