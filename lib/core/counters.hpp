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

// Of two counts that other threads increment meanwhile: a free may be counted before the remove that led to it.
constexpr std::uint64_t difference(std::uint64_t more, std::uint64_t less) noexcept {
  return more > less ? more - less : 0;
}

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
  void raise_to(std::uint64_t value) noexcept { value_.store(std::max(get(), value), std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// The watches, or the timeouts, that are registered. Any thread.
class Population {
 public:
  void add() noexcept {
    const std::uint64_t added = added_.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::uint64_t now = difference(added, removed());
    std::uint64_t most = this->most();
    while (most < now && !most_.compare_exchange_weak(most, now, std::memory_order_relaxed)) continue;
  }
  void remove() noexcept { removed_.fetch_add(1, std::memory_order_relaxed); }

  std::uint64_t added() const noexcept { return added_.load(std::memory_order_relaxed); }
  std::uint64_t removed() const noexcept { return removed_.load(std::memory_order_relaxed); }
  std::uint64_t most() const noexcept { return most_.load(std::memory_order_relaxed); }

  void reset() noexcept {
    for (std::atomic<std::uint64_t> *value : {&added_, &removed_, &most_}) value->store(0, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> added_{0};
  std::atomic<std::uint64_t> removed_{0};
  std::atomic<std::uint64_t> most_{0};  // that were registered at one time
};

struct alignas(64) Counters {
  Population watches;
  Population timeouts;
  SharedCount failures;
  SharedCount wakeups;
  SharedCount exceptions;

  alignas(64) LoopCount frees;
  LoopCount callbacks;
  LoopCount dropped;
  LoopCount inspections;
  LoopCount slow_callbacks;
  LoopCount longest_us;

  // For a child after fork(), alone.
  void reset() noexcept {
    watches.reset();
    timeouts.reset();
    for (SharedCount *count : {&failures, &wakeups, &exceptions}) count->reset();
    for (LoopCount *count : {&frees, &callbacks, &dropped, &inspections, &slow_callbacks, &longest_us}) count->reset();
  }

  std::uint64_t adds() const noexcept { return watches.added() + timeouts.added(); }
  std::uint64_t removes() const noexcept { return watches.removed() + timeouts.removed(); }
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
