// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What virt_uv_walk() tells of one watch or timeout: how often it fired, when last, and its longest call.
//
// Written by the loop's thread in every dispatch, read by any thread. Sixteen bytes, so that a watch stays one cache
// line: the time of the last call (40 bits of milliseconds: 34 years) and the longest call (24 bits of ten
// microseconds: 167 s) share a word.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace virt_uv {

class Tally {
 public:
  void reset() noexcept {
    fired_.store(0, std::memory_order_relaxed);
    times_.store(0, std::memory_order_relaxed);
  }

  // The loop's thread.
  void fired(std::uint64_t now_ms) noexcept {
    fired_.store(count() + 1, std::memory_order_relaxed);
    times_.store(now_ms << kLongestBits | longest(), std::memory_order_relaxed);
  }

  // The loop's thread.
  void took(std::uint64_t nanoseconds) noexcept {
    const std::uint64_t units = std::min(nanoseconds / kUnitNs + 1, kLongestMask);
    times_.store(last_ms() << kLongestBits | std::max(units, longest()), std::memory_order_relaxed);
  }

  std::uint64_t count() const noexcept { return fired_.load(std::memory_order_relaxed); }
  std::uint64_t last_ms() const noexcept { return times_.load(std::memory_order_relaxed) >> kLongestBits; }
  std::uint64_t longest_us() const noexcept { return longest() * (kUnitNs / 1000); }

 private:
  static constexpr int kLongestBits = 24;
  static constexpr std::uint64_t kLongestMask = (1u << kLongestBits) - 1;
  static constexpr std::uint64_t kUnitNs = 10000;

  std::uint64_t longest() const noexcept { return times_.load(std::memory_order_relaxed) & kLongestMask; }

  std::atomic<std::uint64_t> fired_{0};
  std::atomic<std::uint64_t> times_{0};
};

}  // namespace virt_uv
