// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A host: a loop of its own, with virt-uv attached to it for as long as the object lives.
//
// Every wait is bounded: a timer of the host's ends one that takes too long, and the wait answers false. At the end
// the library is detached and the loop closed, which must find no handle left.
#pragma once

#include <poll.h>
#include <uv.h>

#include "catch.hpp"
#include "lines.hpp"
#include "virt-uv/virt-uv.h"

// A loop that is closed at the end, and must be closable by then.
class Loop {
 public:
  Loop() { REQUIRE(uv_loop_init(&loop_) == 0); }
  ~Loop() { CHECK(uv_loop_close(&loop_) == 0); }
  Loop(const Loop &) = delete;
  Loop &operator=(const Loop &) = delete;

  uv_loop_t *get() { return &loop_; }

  void run_iterations(int iterations) {
    for (int i = 0; i < iterations; ++i) uv_run(&loop_, UV_RUN_NOWAIT);
  }

  // Runs iterations until done() is true. False: it did not become true within the limit.
  template <typename Done>
  bool run_until(Done &&done) {
    bool late = false;
    uv_timer_t limit;
    uv_timer_init(&loop_, &limit);
    limit.data = &late;
    uv_timer_start(
        &limit, [](uv_timer_t *timer) { *static_cast<bool *>(timer->data) = true; }, kLimitMs, 0);
    while (!done() && !late) uv_run(&loop_, UV_RUN_ONCE);
    const bool was_done = done();
    close(reinterpret_cast<uv_handle_t *>(&limit));
    return was_done;
  }

  // Would the next iteration sleep? A loop that spins would not in any of a hundred. Asks when something referenced is
  // there, as libuv has no reason to sleep without.
  bool comes_to_sleep() {
    for (int i = 0; i < 100; ++i) {
      run_iterations(1);
      pollfd epoll = {uv_backend_fd(&loop_), POLLIN, 0};
      if (uv_backend_timeout(&loop_) != 0 && poll(&epoll, 1, 0) == 0) return true;
    }
    return false;
  }

  // Closes a handle of the host's, and returns once it is closed.
  void close(uv_handle_t *handle) {
    bool closed = false;
    handle->data = &closed;
    uv_close(handle, [](uv_handle_t *done) { *static_cast<bool *>(done->data) = true; });
    while (!closed) uv_run(&loop_, UV_RUN_NOWAIT);
  }

 private:
  static constexpr unsigned kLimitMs = 60000;
  uv_loop_t loop_;
};

// Detaches, and runs the loop until that is done.
inline bool detach(Loop &loop) {
  bool done = false;
  const int err = virt_uv_detach([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &done);
  return err == 0 && loop.run_until([&] { return done; });
}

// Runs the loop until all that was removed is freed.
inline bool drain(Loop &loop) {
  bool idle = false;
  const int err = virt_uv_drain([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &idle);
  return err == 0 && loop.run_until([&] { return idle; });
}

inline virt_uv_options logging_to(Lines &lines) {
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = Lines::take;
  options.log_opaque = &lines;
  return options;
}

inline virt_uv_stats stats() {
  virt_uv_stats now = VIRT_UV_STATS_INIT;
  REQUIRE(virt_uv_get_stats(&now) == 0);
  return now;
}

class Host {
 public:
  explicit Host(unsigned slow_callback_ms = 0) {
    virt_uv_options options = logging_to(lines);
    options.slow_callback_ms = slow_callback_ms;
    REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
  }
  // A case that has detached already is left as it is.
  ~Host() {
    if (virt_uv_loop() == loop.get()) CHECK(detach(loop));
  }

  Lines lines;
  Loop loop;
};
