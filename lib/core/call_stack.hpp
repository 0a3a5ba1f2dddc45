// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loop's calls to the library that are running, and the watch or timeout that each dispatches. Two questions are
// answered by it:
//
//     is the caller within such a call?     then the loop comes to its check before it sleeps (loop/waker.hpp); but not
//                                           when an iteration has begun within that call, which may sleep first
//     is this slot being dispatched?        then its `ff` waits until the callback has returned, also when that
//                                           callback runs the loop itself, in whose iteration the `ff` would be due
//
// libuv does not allow uv_run in uv_run, but hosts do it. The loop's thread only, except is_entered() and
// has_entered_caller().
//
// A call is known by its frame on that thread's stack, so that one which a callback has left by longjmp is dropped: a
// caller at the same height or above shows that the frame has gone. Stacks grow down on every architecture that this
// library is built for.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace virt_uv::core {

class CallStack {
 public:
  // Around each of the loop's calls that may call out, and around each dispatch, of `slot`. Not declared const: g++
  // keeps a const object in memory that it takes apart into registers otherwise (tree-sra.cc: "a store to a read-only
  // decl"), which is some ten instructions in each dispatch.
  class Scope {
   public:
    [[gnu::always_inline]] explicit Scope(CallStack &stack, const void *slot = nullptr) noexcept
        : stack_(stack), frame_(here()), depth_before_(stack.push(slot, frame_)) {}
    [[gnu::always_inline]] ~Scope() { stack_.set_depth(depth_before_); }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

    // For a call of the loop's that has many to dispatch: between the two it dispatches `slot`, in the frame of the
    // function that calls this. A nested push for each made a tenth less of them.
    [[gnu::always_inline]] void begin_dispatch(const void *slot) noexcept { set(slot, here()); }
    [[gnu::always_inline]] void end_dispatch() noexcept { set(nullptr, frame_); }

   private:
    [[gnu::always_inline]] void set(const void *slot, std::uintptr_t frame) noexcept {
      if (depth_before_ < kMost) stack_.set(depth_before_, slot, frame);
    }

    CallStack &stack_;
    const std::uintptr_t frame_;
    const std::size_t depth_before_;
  };

  // Any thread: may there be a call of this iteration's?
  bool is_entered() const noexcept { return depth() > earlier_.load(std::memory_order_relaxed); }

  // On the loop's thread, or on the one that ran it last: is the caller within a call of this iteration's?
  [[gnu::always_inline]] bool has_entered_caller() const noexcept {
    const std::size_t first = earlier_.load(std::memory_order_relaxed);
    return depth() > first && first < kMost && here() < calls_[first].frame.load(std::memory_order_relaxed);
  }

  [[gnu::always_inline]] bool dispatches(const void *slot) noexcept { return dispatches(slot, here()); }

  // Is anything being dispatched?
  [[gnu::always_inline]] bool dispatches_any() noexcept { return dispatches(nullptr); }

  // In prepare, and in attach. The calls that are running now run this iteration, or have been left by longjmp.
  [[gnu::always_inline]] void begin_iteration() noexcept {
    std::size_t running = depth();
    if (__builtin_expect(running != 0, 0)) set_depth(running = depth_above(here()));
    earlier_.store(running, std::memory_order_relaxed);
  }

  // For a child after fork(), alone.
  void clear() noexcept {
    set_depth(0);
    earlier_.store(0, std::memory_order_relaxed);
  }

 private:
  struct Call {
    const void *slot = nullptr;            // what it dispatches, if it does
    std::atomic<std::uintptr_t> frame{0};  // atomic: the thread that ran the loop last may read it
  };

  static constexpr std::size_t kMost = 16;  // beyond, every slot counts as being dispatched

  [[gnu::always_inline]] static std::uintptr_t here() noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  }

  std::size_t depth() const noexcept { return depth_.load(std::memory_order_relaxed); }
  void set_depth(std::size_t depth) noexcept { depth_.store(depth, std::memory_order_relaxed); }

  [[gnu::always_inline]] void set(std::size_t place, const void *slot, std::uintptr_t frame) noexcept {
    calls_[place].slot = slot;
    calls_[place].frame.store(frame, std::memory_order_relaxed);
  }

  // How many of the calls have their frame above this one.
  std::size_t depth_above(std::uintptr_t frame) const noexcept {
    std::size_t depth = this->depth();
    while (depth > 0 && depth <= kMost && calls_[depth - 1].frame.load(std::memory_order_relaxed) <= frame) --depth;
    return depth;
  }

  // Returns how many calls there were before.
  [[gnu::always_inline]] std::size_t push(const void *slot, std::uintptr_t frame) noexcept {
    if (__builtin_expect(depth() != 0, 0)) return push_nested(slot, frame);
    set(0, slot, frame);
    set_depth(1);
    return 0;
  }

  [[gnu::noinline]] std::size_t push_nested(const void *slot, std::uintptr_t frame) noexcept {
    const std::size_t depth = depth_above(frame);
    if (depth < kMost) set(depth, slot, frame);
    set_depth(depth + 1);
    return depth;
  }

  // nullptr: any slot.
  bool dispatches(const void *slot, std::uintptr_t frame) noexcept {
    const std::size_t depth = depth_above(frame);
    set_depth(depth);
    if (depth > kMost) return true;
    for (std::size_t i = 0; i < depth; ++i)
      if (calls_[i].slot != nullptr && (slot == nullptr || calls_[i].slot == slot)) return true;
    return false;
  }

  std::array<Call, kMost> calls_;
  std::atomic<std::size_t> depth_{0};
  std::atomic<std::size_t> earlier_{0};  // how many of them began before this iteration
};

}  // namespace virt_uv::core
