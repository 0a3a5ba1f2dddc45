/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The pause before a connection is tried again: it doubles from one second to a minute, and each is cut by a random
 * share of up to half, so that many watchers of one host that went down do not come back to it at the same moment. */
#pragma once

#include <cstdint>
#include <random>

namespace virt_uv::watch {

class Backoff {
 public:
  static constexpr std::uint64_t kFirstMs = 1000;
  static constexpr std::uint64_t kLongestMs = 60000;

  /* Milliseconds. */
  std::uint64_t next_pause();

  /* A connection has held: begin anew. */
  void reset() { longest_ = kFirstMs; }

 private:
  std::uint64_t longest_ = kFirstMs;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace virt_uv::watch
