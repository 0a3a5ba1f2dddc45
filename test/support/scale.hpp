// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How much a test does: VIRT_UV_STRESS times the bounded form, which takes some seconds. It may be a fraction, for what
// slows a program down a hundredfold.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

inline std::uint64_t scaled(std::uint64_t count) {
  const char *factor = std::getenv("VIRT_UV_STRESS");
  const double times = factor != nullptr ? std::atof(factor) : 1;
  const double number = static_cast<double>(count) * (times > 0 ? times : 1);
  return std::max(static_cast<std::uint64_t>(number), std::uint64_t{1});
}
