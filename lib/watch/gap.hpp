/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a full queue has dropped, and the record that takes its place. */
#pragma once

#include <chrono>
#include <cstdint>

#include "record_fwd.hpp"

namespace virt_uv::watch {

struct Gap {
  std::uint64_t count = 0; /* records, since the last time that this was told */
  std::chrono::system_clock::time_point since = {};
};

Record dropped_record(const Gap &gap);

}  // namespace virt_uv::watch
