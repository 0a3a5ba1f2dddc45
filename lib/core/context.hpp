// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What every part of the instance shares.
#pragma once

#include <atomic>

#include "core/call_stack.hpp"
#include "core/counters.hpp"
#include "core/log.hpp"

namespace virt_uv::core {

struct Context {
  Log log;
  Counters counters;
  std::atomic<unsigned> slow_callback_ms{0};  // from which a callback is called slow; 0: not measured
  CallStack calls;                            // the loop's thread only
  std::atomic<bool> is_barred{false};         // a child after fork(): nothing calls out (api/fork.cpp)
};

}  // namespace virt_uv::core
