// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Marks a frame of a thread's stack: is the caller below it, that is, called from within it?
//
// A flag that is set on entry and cleared on return would stay set when a callback leaves by longjmp (Perl's die does).
// The mark is compared with the caller's own frame instead: a caller at the same height or above shows that the marked
// frame has gone. Stacks grow down on every architecture that this library is built for.
#pragma once

#include <atomic>
#include <cstdint>

namespace virt_uv::core {

class StackMark {
 public:
  // Marks the frame of the function that declares it, unless that function is below a mark already.
  class Scope {
   public:
    [[gnu::always_inline]] explicit Scope(StackMark &mark) noexcept : mark_(mark), is_nested_(mark.is_above()) {
      if (!is_nested_) mark_.frame_.store(here(), std::memory_order_relaxed);
    }
    [[gnu::always_inline]] ~Scope() {
      if (!is_nested_) mark_.clear();
    }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

   private:
    StackMark &mark_;
    bool is_nested_;
  };

  bool is_set() const noexcept { return frame_.load(std::memory_order_relaxed) != 0; }

  // On the thread that set the mark.
  [[gnu::always_inline]] bool is_above() const noexcept { return here() < frame_.load(std::memory_order_relaxed); }

  void clear() noexcept { frame_.store(0, std::memory_order_relaxed); }

 private:
  [[gnu::always_inline]] static std::uintptr_t here() noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  }

  std::atomic<std::uintptr_t> frame_{0};  // 0: none
};

}  // namespace virt_uv::core
