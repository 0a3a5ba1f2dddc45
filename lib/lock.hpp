// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library's mutex.
//
// libvirt calls in with its own locks held, and its callbacks take those same locks. So the rule that keeps the two
// from deadlocking is that no lock of ours is held while we call out: not in a callback, an `ff`, the host's log
// function. Every place that calls out says so with calling_out(), and a build with -Dchecks=true aborts where the rule
// is broken.
#pragma once

#include <mutex>

#ifdef VIRT_UV_CHECKS
#include <cstdio>
#include <cstdlib>
#endif

namespace virt_uv {

#ifdef VIRT_UV_CHECKS
inline thread_local int locks_held = 0;

class Mutex {
 public:
  void lock() {
    mutex_.lock();
    ++locks_held;
  }
  void unlock() {
    --locks_held;
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
};

inline void calling_out() noexcept {
  if (locks_held == 0) return;
  std::fputs("virt-uv: a lock is held while calling out\n", stderr);
  std::abort();
}
#else
using Mutex = std::mutex;
inline void calling_out() noexcept {}
#endif

using Lock = std::lock_guard<Mutex>;

}  // namespace virt_uv
