// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The calls that virt_uv_drain() has still to make. The loop's thread only.
//
// One that waits for long is most likely a mistake, as a connection or a registered event that was forgotten keeps its
// socket for good: so there is a time at which to say what is waited for.
#pragma once

#include <new>
#include <utility>
#include <vector>

#include "core/call_out.hpp"
#include "core/clock.hpp"
#include "core/context.hpp"
#include "virt-uv/virt-uv.h"

namespace virt_uv::core {

class Drains {
 public:
  static constexpr std::uint64_t kPatienceMs = 5000;

  explicit Drains(Context &context) noexcept : context_(context) {}

  // False: no memory.
  bool add(virt_uv_cb idle, void *opaque) noexcept {
    try {
      waiting_.push_back({idle, opaque});
    } catch (const std::bad_alloc &) {
      return false;
    }
    if (warn_due_ == kNever) warn_due_ = deadline_in(kPatienceMs);
    return true;
  }

  bool empty() const noexcept { return waiting_.empty(); }

  // For a child after fork(), alone.
  void clear() noexcept {
    waiting_.clear();
    warned();
  }

  // When to say what is waited for; kNever: not, or not again.
  std::uint64_t warn_due() const noexcept { return warn_due_; }
  void warned() noexcept { warn_due_ = kNever; }

  // Calls those that waited when it began, on a clean stack.
  void run() {
    warn_due_ = kNever;
    const std::vector<Waiting> now = std::exchange(waiting_, {});
    for (const Waiting &waiting : now) call_guarded(context_, [&] { waiting.idle(waiting.opaque); });
  }

 private:
  struct Waiting {
    virt_uv_cb idle;
    void *opaque;
  };

  Context &context_;
  std::vector<Waiting> waiting_;
  std::uint64_t warn_due_ = kNever;
};

}  // namespace virt_uv::core
