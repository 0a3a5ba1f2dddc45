// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which watches and timeouts are being dispatched: the `ff` of each waits until its callback has returned, also when
// that callback runs the loop itself, in whose iteration the `ff` would be due. libuv does not allow uv_run in uv_run,
// but hosts do it.
//
// The loop's thread only. An entry is known by its frame on that thread's stack, so that one whose callback left by
// longjmp is dropped: a caller at the same height or above shows that the frame has gone. Stacks grow down on every
// architecture that this library is built for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace virt_uv::core {

class ActiveCalls {
 public:
  // For as long as it lives, the slot is being dispatched.
  class Scope {
   public:
    [[gnu::always_inline]] Scope(ActiveCalls &calls, const void *slot) noexcept : calls_(calls), depth_before_(0) {
      if (__builtin_expect(calls.depth_ != 0, 0)) depth_before_ = calls.drop_gone(here());
      if (depth_before_ < kMost) calls.calls_[depth_before_] = {slot, here()};
      calls.depth_ = depth_before_ + 1;
    }
    [[gnu::always_inline]] ~Scope() { calls_.depth_ = depth_before_; }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

   private:
    ActiveCalls &calls_;
    std::size_t depth_before_;
  };

  [[gnu::always_inline]] bool concern(const void *slot) noexcept { return depth_ != 0 && concern(slot, here()); }

  [[gnu::always_inline]] bool any() noexcept {
    drop_gone();
    return depth_ != 0;
  }

  void clear() noexcept { depth_ = 0; }

  // Once an iteration.
  [[gnu::always_inline]] void drop_gone() noexcept {
    if (__builtin_expect(depth_ != 0, 0)) depth_ = drop_gone(here());
  }

 private:
  struct Call {
    const void *slot;
    std::uintptr_t frame;
  };

  static constexpr std::size_t kMost = 16;  // beyond, every slot counts as being dispatched

  [[gnu::always_inline]] static std::uintptr_t here() noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  }

  [[gnu::noinline]] std::size_t drop_gone(std::uintptr_t frame) const noexcept {
    std::size_t depth = depth_;
    while (depth > 0 && depth <= kMost && calls_[depth - 1].frame <= frame) --depth;
    return depth;
  }

  bool concern(const void *slot, std::uintptr_t frame) noexcept {
    depth_ = drop_gone(frame);
    if (depth_ > kMost) return true;
    for (std::size_t i = 0; i < depth_; ++i)
      if (calls_[i].slot == slot) return true;
    return false;
  }

  std::array<Call, kMost> calls_{};
  std::size_t depth_ = 0;
};

}  // namespace virt_uv::core
