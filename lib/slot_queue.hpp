// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A first-in, first-out queue of slots, chained through Slot::next: it allocates nothing, so queueing can't fail. Not
// thread-safe by itself.
#pragma once

#include <cstdint>

namespace virt_uv {

template <typename Slot>
class SlotTable;

template <typename Slot>
class SlotQueue {
 public:
  explicit SlotQueue(SlotTable<Slot> &table) noexcept : table_(table) {}

  bool empty() const noexcept { return first_ == 0; }

  void push(Slot &slot) noexcept {
    const std::uint32_t index = table_.index_of(slot);
    slot.next = 0;
    if (empty())
      first_ = index;
    else
      table_[last_].next = index;
    last_ = index;
  }

  // The queue must not be empty.
  Slot &pop() noexcept {
    Slot &slot = table_[first_];
    first_ = slot.next;
    slot.next = 0;
    return slot;
  }

  // Calls fn(slot) for each slot that is queued now; those that fn queues wait for the next time.
  template <typename Fn>
  void consume(Fn &&fn) {
    SlotQueue now(table_);
    now.first_ = first_;
    now.last_ = last_;
    first_ = 0;
    while (!now.empty()) fn(now.pop());
  }

 private:
  SlotTable<Slot> &table_;
  std::uint32_t first_ = 0;  // indexes; 0: none
  std::uint32_t last_ = 0;
};

}  // namespace virt_uv
