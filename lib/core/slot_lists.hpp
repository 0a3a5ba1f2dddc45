// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The lists that a slot can be in, one at a time, chained through Slot::next: none allocates, so queueing can't fail.
//
//     SlotQueue   first in, first out; of one thread, or under a lock
//     DirtyList   what the loop's thread has to look at: pushed on any thread, taken whole by the loop's thread
//     RetryList   what the loop's thread could not bring about, and looks at again some time later
//
// `Table` finds a slot by its index: `Slot &operator[](index)`, and `index_of(slot)`. Index 0 is none.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/clock.hpp"

namespace virt_uv::core {

template <typename Table>
class SlotQueue {
 public:
  using Slot = typename Table::SlotType;

  explicit SlotQueue(Table &table) noexcept : table_(table) {}

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  void push(Slot &slot) noexcept {
    const std::uint32_t index = table_.index_of(slot);
    slot.next = 0;
    if (empty())
      first_ = index;
    else
      table_[last_].next = index;
    last_ = index;
    ++size_;
  }

  // The queue must not be empty.
  Slot &pop() noexcept {
    Slot &slot = table_[first_];
    first_ = slot.next;
    slot.next = 0;
    --size_;
    return slot;
  }

  void clear() noexcept { first_ = last_ = 0, size_ = 0; }

  // Calls fn(slot) for each slot that is queued now; those that fn queues wait for the next time. fn may call out: what
  // is not reached then stays queued.
  template <typename Fn>
  void consume(Fn &&fn) {
    for (std::size_t left = size_; left > 0 && !empty(); --left) fn(pop());
  }

 private:
  Table &table_;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  std::size_t size_ = 0;
};

// A lock-free stack. A slot is pushed by the thread that sets its dirty mark, and the mark is cleared by the loop's
// thread only after it has taken the slot, so no slot is ever in it twice; and as the stack is only ever taken whole,
// there is no A-B-A.
template <typename Table>
class DirtyList {
 public:
  using Slot = typename Table::SlotType;

  explicit DirtyList(Table &table) noexcept : table_(table) {}

  bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == 0; }

  void push(Slot &slot) noexcept {
    const std::uint32_t index = table_.index_of(slot);
    std::uint32_t head = head_.load(std::memory_order_relaxed);
    do {
      slot.next = head;
      // model: PUSH
    } while (!head_.compare_exchange_weak(head, index, std::memory_order_release, std::memory_order_relaxed));
  }

  // For a child after fork(), alone.
  void clear() noexcept { head_.store(0, std::memory_order_relaxed); }

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

  Table &table_;
  std::atomic<std::uint32_t> head_{0};
};

// A slot in it is marked as deferred, and is in no other list. A thread that changes such a slot does not push it: it
// requests a retry, which the loop's next iteration makes.
template <typename Table>
class RetryList {
 public:
  using Slot = typename Table::SlotType;

  static constexpr std::uint64_t kIntervalMs = 100;

  explicit RetryList(Table &table) noexcept : queue_(table) {}

  // Any thread, after it has changed a deferred slot; it wakes the loop then.
  void request() noexcept { requested_.store(true, std::memory_order_release); }  // model: REQUEST

  // --- The loop's thread ---

  void push(Slot &slot) noexcept {
    queue_.push(slot);
    due_ = std::min(due_, deadline_in(kIntervalMs));
  }

  void clear() noexcept {
    queue_.clear();
    due_ = kNever;
  }

  // Is there something to look at by now?
  bool is_due() noexcept {
    // model: TAKE_REQUEST
    if (requested_.load(std::memory_order_relaxed) && requested_.exchange(false, std::memory_order_acq_rel))
      return true;
    return due_ != kNever && due_ <= milliseconds_now();
  }

  // In milliseconds of clock.hpp; kNever: nothing is deferred.
  std::uint64_t due() const noexcept { return due_; }

  // Calls fn(slot) for each.
  template <typename Fn>
  void consume(Fn &&fn) {
    due_ = kNever;
    queue_.consume(fn);
  }

 private:
  SlotQueue<Table> queue_;
  std::atomic<bool> requested_{false};
  std::uint64_t due_ = kNever;
};

}  // namespace virt_uv::core
