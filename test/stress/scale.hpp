// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How much a stress test does: VIRT_UV_STRESS times the bounded form, which takes some seconds.
#pragma once

#include <cstdint>
#include <cstdlib>

inline std::uint64_t scaled(std::uint64_t count) {
  const char *factor = std::getenv("VIRT_UV_STRESS");
  const long times = factor != nullptr ? std::atol(factor) : 1;
  return count * static_cast<std::uint64_t>(times > 0 ? times : 1);
}
