// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Timeouts: what libvirt wants, and the two queues that carry it out: a heap of deadlines, for which one uv_timer_t
// stands, and the list of those with frequency 0, which one uv_idle_t fires in every iteration (loop/reconciler.hpp has
// both). Nothing here belongs to a loop, so timeouts pass from loop to loop as they are.
//
// An update notes the frequency and the deadline under the mutex. A deadline that moves back needs nothing more
// ("lazy"): the heap's older entry fires, finds the new deadline, and is moved there. keepalive does this for every
// message. One that moves forward, and a frequency of 0, make the timeout dirty. The invariant, under the mutex, for a
// live timeout that is neither dirty nor deferred:
//
//     frequency > 0    it is in the heap, at `heap_due` <= `due`
//     frequency == 0   it is in the list
//
// Being in one of them though no longer wanted there is harmless; it is found out when it is due.
//
// Dispatch of the list takes no lock: the frequency is in the atomic word, below the id. A callback may run the loop,
// so after each call the queues may have changed in any way.
#pragma once

#include <libvirt/libvirt.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/clock.hpp"
#include "core/context.hpp"
#include "core/counters.hpp"
#include "core/slot_lists.hpp"
#include "core/slot_table.hpp"
#include "core/slot_word.hpp"
#include "core/timer_heap.hpp"

namespace virt_uv::core {

struct Timeout {
  int slot_id() const noexcept { return id_of(word.load(std::memory_order_relaxed)); }
  void set_free(int id) noexcept { word.store(free_word(id), std::memory_order_release); }

  std::atomic<std::uint64_t> word{0};  // as in slot_word.hpp, the lower half is the frequency; written under the mutex
  virEventTimeoutCallback cb = nullptr;
  void *opaque = nullptr;
  virFreeCallback ff = nullptr;
  CallStats stats;
  std::uint32_t next = 0;

  // Guarded by the table's mutex.
  bool dirty = false;               // changed since the loop's thread last looked; the thread that sets it tells it
  bool deferred = false;            // in the retry list, and so in no other
  bool in_list = false;             // changed by the loop's thread only
  std::uint64_t due = kNever;       // when it is to fire, for a frequency > 0
  std::uint64_t heap_due = kNever;  // where it is in the heap; kNever: not in it. Changed by the loop's thread only

  // The loop's thread only.
  bool failed_to_start = false;  // and the log says so
  std::size_t heap_place = kNotInHeap;
  std::size_t list_place = 0;
};

constexpr std::uint64_t kFrequencyMask = 0xffffffff;
constexpr int frequency_of(std::uint64_t word) noexcept { return static_cast<int>(word & kFrequencyMask); }

class Timeouts {
 public:
  explicit Timeouts(Context &context) noexcept : context_(context) {}

  // --- Any thread ---

  // The id; -1: see virt_uv_add_timeout.
  int add(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept;
  // Does the loop's thread have to look?
  bool update(int id, int frequency) noexcept;
  // Was it registered?
  bool remove(int id) noexcept;
  // Is this live timeout that very callback's and opaque's?
  bool has(int id, virEventTimeoutCallback cb, const void *opaque) noexcept;

  SlotTable<Timeout> &table() noexcept { return table_; }

  // --- The loop's thread only ---

  void reconcile() noexcept;

  // One of the loop's calls, in which timeouts are called. It stops early when `stopped` becomes true (the loop has
  // gone in a callback).
  struct Run {
    CallStack::Scope &scope;
    std::uint64_t loop_now_ms;
    const bool &stopped;
  };

  // Calls what is due.
  void run_due(const Run &run);
  // Calls those with frequency 0.
  void run_list(const Run &run);

  // When run_due() or reconcile() has to be called next; kNever: not at all.
  std::uint64_t next_due() const noexcept {
    return std::min(deferred_.due(), heap_.empty() ? kNever : heap_.first_due());
  }
  bool has_list() const noexcept { return !list_.empty(); }

  // Calls each `ff` that is due, on a clean stack.
  void run_frees();
  bool has_frees() const noexcept { return !to_free_.empty(); }

  // --- A child after fork(), alone ---

  // What the parent has registered is not the child's: no call comes, and no id is used again.
  void disown() noexcept;

 private:
  enum class Tell { kNobody, kDirtyList, kRetryList };

  int failed(const char *why) noexcept;
  Tell mark_changed(Timeout &timeout) noexcept VIRT_UV_REQUIRES(table_.mutex());
  Tell schedule(Timeout &timeout, int frequency) noexcept VIRT_UV_REQUIRES(table_.mutex());
  bool tell(Tell whom, Timeout &timeout) noexcept;
  void call(Timeout &timeout, std::uint64_t word, const Run &run);
  void reconcile(Timeout &timeout) noexcept;
  bool reserve_one() noexcept;
  void enqueue(Timeout &timeout, std::uint64_t word) noexcept VIRT_UV_REQUIRES(table_.mutex());
  void defer(Timeout &timeout) noexcept;
  void leave_queues(Timeout &timeout) noexcept VIRT_UV_REQUIRES(table_.mutex());
  void leave_list(Timeout &timeout) noexcept VIRT_UV_REQUIRES(table_.mutex());
  bool take_due(Timeout &timeout, std::uint64_t now_ms) noexcept;
  bool leave_list_unless_wanted(Timeout &timeout) noexcept;

  Context &context_;
  SlotTable<Timeout> table_;
  DirtyList<SlotTable<Timeout>> dirty_{table_};
  RetryList<SlotTable<Timeout>> deferred_{table_};  // with no memory for the queue that they are to be in
  SlotQueue<SlotTable<Timeout>> to_free_{table_};
  TimerHeap<Timeout> heap_;
  std::vector<Timeout *> list_;
};

}  // namespace virt_uv::core
