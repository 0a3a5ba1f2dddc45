// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What virt_uv_get_stats() and virt_uv_walk() report.
//
// Two kinds of counter, kept on separate cache lines so that workers' adds don't slow dispatch: those that any thread
// increments (an atomic add), and those that only the loop's thread increments (a plain load and store, which other
// threads may read at any time).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <initializer_list>

namespace virt_uv::core {

class SharedCount {
 public:
  void increment() noexcept { value_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class LoopCount {
 public:
  void increment() noexcept { value_.store(get() + 1, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

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

  // For a child after fork(), alone.
  void reset() noexcept {
    for (SharedCount *count :
         {&added_watches, &removed_watches, &added_timeouts, &removed_timeouts, &failures, &wakeups, &exceptions})
      count->reset();
    for (LoopCount *count : {&frees, &callbacks, &dropped, &inspections, &slow_callbacks}) count->reset();
  }

  std::uint64_t adds() const noexcept { return added_watches.get() + added_timeouts.get(); }
  std::uint64_t removes() const noexcept { return removed_watches.get() + removed_timeouts.get(); }
  // Is anything registered, or removed and not yet freed?
  bool busy() const noexcept { return adds() != frees.get(); }
};

// The calls of one watch or timeout: how many, when the last, and the longest.
//
// Written by the loop's thread in every dispatch, read by any thread. Sixteen bytes, so that a watch stays one cache
// line: the time of the last call (40 bits of milliseconds: 34 years) and the longest call (24 bits of ten
// microseconds: 167 s) share a word.
class CallStats {
 public:
  void reset() noexcept {
    count_.store(0, std::memory_order_relaxed);
    times_.store(0, std::memory_order_relaxed);
  }

  // The loop's thread.
  void called(std::uint64_t now_ms) noexcept {
    count_.store(count() + 1, std::memory_order_relaxed);
    times_.store(now_ms << kLongestBits | longest(), std::memory_order_relaxed);
  }

  // The loop's thread.
  void took(std::uint64_t nanoseconds) noexcept {
    const std::uint64_t units = std::min(nanoseconds / kUnitNs + 1, kLongestMask);
    times_.store(last_ms() << kLongestBits | std::max(units, longest()), std::memory_order_relaxed);
  }

  std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  std::uint64_t last_ms() const noexcept { return times_.load(std::memory_order_relaxed) >> kLongestBits; }
  std::uint64_t longest_us() const noexcept { return longest() * (kUnitNs / 1000); }

 private:
  static constexpr int kLongestBits = 24;
  static constexpr std::uint64_t kLongestMask = (1u << kLongestBits) - 1;
  static constexpr std::uint64_t kUnitNs = 10000;

  std::uint64_t longest() const noexcept { return times_.load(std::memory_order_relaxed) & kLongestMask; }

  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> times_{0};
};

}  // namespace virt_uv::core
