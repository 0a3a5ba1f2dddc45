// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a child after fork() may do.
//
// It shares the parent's epoll instance with the loop that was attached: what it would change there, it would change
// for the parent; and it would call the parent's callbacks and read the parent's bytes. So where a loop was attached at
// the fork, or was being attached or detached, nothing calls out in the child and every call is refused, the first with
// a line in the log. Where none was, the child begins anew: what the parent had registered is not its own, and it may
// attach.
#pragma once

#include <atomic>

#include "api/instance.hpp"

namespace virt_uv::api {

// Has fork() be noticed from here on. Any thread.
void watch_for_fork() noexcept;

// Writes the line of the first refusal.
void log_refusal() noexcept;

// Is every call to be refused? Logs it, once, if so.
inline bool is_refused_child() noexcept {
  if (__builtin_expect(!Instance::get().context().is_barred.load(std::memory_order_relaxed), 1)) return false;
  log_refusal();
  return true;
}

}  // namespace virt_uv::api
