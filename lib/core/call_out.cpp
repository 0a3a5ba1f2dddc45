// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/call_out.hpp"

namespace virt_uv::core {

void report_exception(Context &context, const char *what) noexcept {
  context.counters.exceptions.increment();
  context.log.error("a callback let an exception out: {}", what != nullptr ? what : "(of a type without a text)");
}

void measured(Context &context, Called called, CallStats &stats, std::uint64_t nanoseconds) noexcept {
  stats.took(nanoseconds);
  context.counters.longest_us.raise_to(nanoseconds / 1000);
  const std::uint64_t taken_ms = milliseconds(nanoseconds);
  if (taken_ms < context.slow_callback_ms.load(std::memory_order_relaxed)) return;
  context.counters.slow_callbacks.increment();
  context.log.warn("the callback of {} {} held the loop for {} ms", called.kind, called.id, taken_ms);
}

}  // namespace virt_uv::core
