// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many libuv handles of ours are open on a loop. libuv closes a handle in a later phase of the iteration, and
// only when the last has closed may their memory go and a detach be done.
#pragma once

#include <uv.h>

namespace virt_uv {

class HandleCount {
 public:
  using NoneLeft = void (*)(void *owner);

  void opened() noexcept { ++open_; }

  void closed() {
    if (--open_ == 0 && none_left_ != nullptr) none_left_(owner_);
  }

  // `none_left(owner)` is called from the close callback of the last handle.
  void when_none_left(NoneLeft none_left, void *owner) noexcept {
    none_left_ = none_left;
    owner_ = owner;
  }

 private:
  unsigned open_ = 0;
  NoneLeft none_left_ = nullptr;
  void *owner_ = nullptr;
};

}  // namespace virt_uv
