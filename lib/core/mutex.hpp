// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library's mutex.
//
// libvirt calls in with its own locks held, and its callbacks take those same locks. So the rule that keeps the two
// from deadlocking is that no lock of the library is held while it calls out: not in a callback, an `ff`, the host's
// log function. Every place that calls out says so with calling_out(), and a build with -Dchecks=true aborts where the
// rule is broken.
//
// What a mutex guards is stated in the type system: Clang checks the annotations below with -Wthread-safety.
#pragma once

#include <mutex>

#ifdef VIRT_UV_CHECKS
#include <cstdio>
#include <cstdlib>
#endif

#if defined(__clang__)
#define VIRT_UV_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define VIRT_UV_THREAD_SAFETY(attribute)
#endif
#define VIRT_UV_GUARDED_BY(mutex) VIRT_UV_THREAD_SAFETY(guarded_by(mutex))
#define VIRT_UV_REQUIRES(mutex) VIRT_UV_THREAD_SAFETY(requires_capability(mutex))
#define VIRT_UV_ACQUIRES(mutex) VIRT_UV_THREAD_SAFETY(acquire_capability(mutex))
#define VIRT_UV_RELEASES(mutex) VIRT_UV_THREAD_SAFETY(release_capability(mutex))
#define VIRT_UV_RETURNS(mutex) VIRT_UV_THREAD_SAFETY(lock_returned(mutex))
#define VIRT_UV_UNCHECKED_LOCKING VIRT_UV_THREAD_SAFETY(no_thread_safety_analysis)

namespace virt_uv::core {

#ifdef VIRT_UV_CHECKS
inline thread_local int locks_held = 0;

inline void count_locks(int difference) noexcept { locks_held += difference; }

inline void calling_out() noexcept {
  if (locks_held == 0) return;
  std::fputs("virt-uv: a lock is held while calling out\n", stderr);
  std::abort();
}
#else
inline void count_locks(int) noexcept {}
inline void calling_out() noexcept {}
#endif

class VIRT_UV_THREAD_SAFETY(capability("mutex")) Mutex {
 public:
  void lock() VIRT_UV_THREAD_SAFETY(acquire_capability()) {
    mutex_.lock();
    count_locks(+1);
  }
  void unlock() VIRT_UV_THREAD_SAFETY(release_capability()) {
    count_locks(-1);
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
};

class VIRT_UV_THREAD_SAFETY(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex &mutex) VIRT_UV_ACQUIRES(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() VIRT_UV_THREAD_SAFETY(release_capability()) { mutex_.unlock(); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;

 private:
  Mutex &mutex_;
};

}  // namespace virt_uv::core
