// SPDX-License-Identifier: LGPL-2.1-or-later
#include "callout.hpp"

#include "log.hpp"

namespace virt_uv {

void report_exception(const char *what) noexcept {
  counters.exceptions.raise();
  log::error("a callback let an exception out: {}", what != nullptr ? what : "(of a type without a text)");
}

void measured(const Called &called, Tally &tally, std::uint64_t nanoseconds) noexcept {
  tally.took(nanoseconds);
  const std::uint64_t milliseconds = nanoseconds / 1000000;
  if (milliseconds < slow_callback_ms.load(std::memory_order_relaxed)) return;
  counters.slow_callbacks.raise();
  log::warn("the callback of {} {} held the loop for {} ms", called.kind, called.id, milliseconds);
}

}  // namespace virt_uv
