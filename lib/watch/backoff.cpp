/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backoff.hpp"

#include <algorithm>

namespace virt_uv::watch {

std::uint64_t Backoff::next_pause() {
  std::uniform_int_distribution<std::uint64_t> pause(longest_ / 2, longest_);
  longest_ = std::min(2 * longest_, kLongestMs);
  return pause(random_);
}

}  // namespace virt_uv::watch
