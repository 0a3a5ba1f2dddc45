// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What virt_uv_get_stats() reports.
//
// Two kinds, kept on separate cache lines so that workers' adds don't slow dispatch: those that any thread
// raises (an atomic add), and those that only the loop's thread raises (a plain load and store, which other
// threads may read at any time).
#pragma once

#include <atomic>
#include <cstdint>

namespace virt_uv {

class SharedCount {
 public:
  void raise() noexcept { value_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class LoopCount {
 public:
  void raise() noexcept { value_.store(get() + 1, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct alignas(64) Counters {
  SharedCount added_watches;
  SharedCount removed_watches;
  SharedCount added_timeouts;
  SharedCount removed_timeouts;
  SharedCount failures;
  SharedCount wakeups;
  SharedCount exceptions;

  alignas(64) LoopCount frees;
  LoopCount callbacks;
  LoopCount dropped;
  LoopCount inspections;
  LoopCount slow_callbacks;

  std::uint64_t adds() const noexcept { return added_watches.get() + added_timeouts.get(); }
  std::uint64_t removes() const noexcept { return removed_watches.get() + removed_timeouts.get(); }
  // Is anything registered, or removed and not yet freed?
  bool busy() const noexcept { return adds() != frees.get(); }
};

inline Counters counters;

}  // namespace virt_uv
