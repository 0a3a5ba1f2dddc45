// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Deadlines are in milliseconds of uv_hrtime(), rounded up, so that nothing is ever early: a loop's own time is that
// clock rounded down, and may lag behind it (uv_timer_start counts from the start of the iteration).
#pragma once

#include <cstdint>

namespace virt_uv {

inline constexpr std::uint64_t kNever = UINT64_MAX;

constexpr std::uint64_t milliseconds_rounded_up(std::uint64_t nanoseconds) noexcept {
  return (nanoseconds + 999999) / 1000000;
}
constexpr std::uint64_t milliseconds(std::uint64_t nanoseconds) noexcept { return nanoseconds / 1000000; }

}  // namespace virt_uv
