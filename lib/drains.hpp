// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who waits for virt_uv_drain(). The loop's thread only.
#pragma once

#include <vector>

#include "callout.hpp"
#include "virt-uv/virt-uv.h"

namespace virt_uv {

class Drains {
 public:
  // 0 or UV_ENOMEM.
  int add(virt_uv_cb idle, void *opaque) noexcept {
    try {
      waiting_.push_back({idle, opaque});
    } catch (const std::bad_alloc &) {
      return UV_ENOMEM;
    }
    return 0;
  }

  bool empty() const noexcept { return waiting_.empty(); }

  // Calls those that waited when it began, on a clean stack.
  void run() {
    const std::vector<Waiting> now = std::move(waiting_);
    waiting_.clear();
    for (const Waiting &waiting : now) call_guarded([&] { waiting.idle(waiting.opaque); });
  }

 private:
  struct Waiting {
    virt_uv_cb idle;
    void *opaque;
  };

  std::vector<Waiting> waiting_;
};

}  // namespace virt_uv
