/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gap.hpp"

#include <fmt/format.h>

#include "line.hpp"
#include "record.hpp"

namespace virt_uv::watch {

Record dropped_record(const Gap &gap) {
  std::string since = timestamp(gap.since);
  return {"dropped",
          fmt::format("{} records dropped since {}: the queue was full", gap.count, since),
          {{"count", gap.count}, {"since", since}}};
}

}  // namespace virt_uv::watch
