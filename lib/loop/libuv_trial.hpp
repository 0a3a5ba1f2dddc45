// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Tries out, on a loop of its own, what the library relies on and libuv does not promise.
#pragma once

#include <uv.h>

namespace virt_uv::loop {

struct TrialResult {
  int error = 0;                     // why it could not be tried: an error of libuv's
  const char *difference = nullptr;  // what this libuv does otherwise; nullptr: nothing
  void *async_cb = nullptr;          // the thread-pool callback that a loop of this libuv has
};

TrialResult try_libuv() noexcept;

}  // namespace virt_uv::loop
