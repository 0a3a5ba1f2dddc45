// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The upper half of a slot's word: is it registered (live), and its id. The lower half is the slot type's own.
#pragma once

#include <cstdint>

namespace virt_uv::core {

inline constexpr std::uint64_t kLive = std::uint64_t{1} << 63;  // from add to remove
inline constexpr int kIdShift = 32;

constexpr int id_of(std::uint64_t word) noexcept { return static_cast<int>(word >> kIdShift & 0x7fffffff); }
constexpr bool is_live(std::uint64_t word) noexcept { return (word & kLive) != 0; }
constexpr bool is_live_as(std::uint64_t word, int id) noexcept { return is_live(word) && id_of(word) == id; }
constexpr std::uint64_t free_word(int id) noexcept { return static_cast<std::uint64_t>(id) << kIdShift; }

}  // namespace virt_uv::core
