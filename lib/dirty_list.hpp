// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The slots whose libuv side may have to change: pushed on any thread, taken whole by the loop's.
//
// A lock-free stack. A slot is pushed by whoever sets its dirty mark, and the mark is cleared by the loop's thread only
// after it has taken the slot, so no slot is ever in it twice; and as the stack is only ever taken whole, there is no
// A-B-A.
#pragma once

#include <atomic>
#include <cstdint>

#include "slot_table.hpp"

namespace virt_uv {

template <typename Slot>
class DirtyList {
 public:
  explicit DirtyList(SlotTable<Slot> &table) noexcept : table_(table) {}

  bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == 0; }

  void push(Slot &slot) noexcept {
    const std::uint32_t index = table_.index_of(slot);
    std::uint32_t head = head_.load(std::memory_order_relaxed);
    do {
      slot.next = head;
      // model: PUSH
    } while (!head_.compare_exchange_weak(head, index, std::memory_order_release, std::memory_order_relaxed));
  }

  // The loop's thread: calls fn(slot) for each slot, the first pushed first. What fn pushes waits for the next time.
  template <typename Fn>
  void consume(Fn &&fn) {
    std::uint32_t index = reversed(head_.exchange(0, std::memory_order_acquire));  // model: TAKE_DIRTY
    while (index != 0) {
      Slot &slot = table_[index];
      index = slot.next;
      slot.next = 0;
      fn(slot);
    }
  }

 private:
  std::uint32_t reversed(std::uint32_t index) noexcept {
    std::uint32_t before = 0;
    while (index != 0) {
      Slot &slot = table_[index];
      const std::uint32_t after = slot.next;
      slot.next = before;
      before = index;
      index = after;
    }
    return before;
  }

  SlotTable<Slot> &table_;
  std::atomic<std::uint32_t> head_{0};
};

}  // namespace virt_uv
