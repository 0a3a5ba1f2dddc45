// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Deadlines are in milliseconds of CLOCK_MONOTONIC, rounded up, so that nothing is ever early. libuv's own time is that
// clock rounded down, and may lag behind it (uv_timer_start counts from the start of the iteration).
#pragma once

#include <cstdint>
#include <ctime>

namespace virt_uv::core {

inline constexpr std::uint64_t kNever = UINT64_MAX;

inline std::uint64_t nanoseconds_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// To the kernel's tick, at a fraction of the cost (clock_gettime(2)).
inline std::uint64_t coarse_milliseconds_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

constexpr std::uint64_t milliseconds(std::uint64_t nanoseconds) noexcept { return nanoseconds / 1'000'000; }
constexpr std::uint64_t milliseconds_rounded_up(std::uint64_t nanoseconds) noexcept {
  return milliseconds(nanoseconds + 999'999);
}

// Now, for a comparison with a deadline.
inline std::uint64_t milliseconds_now() noexcept { return milliseconds(nanoseconds_now()); }
// The deadline that lies `delay` milliseconds from now.
inline std::uint64_t deadline_in(std::uint64_t delay) noexcept {
  return milliseconds_rounded_up(nanoseconds_now()) + delay;
}

}  // namespace virt_uv::core
