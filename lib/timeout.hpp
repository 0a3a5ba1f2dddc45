// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Timeouts: what libvirt wants, and the two queues that carry it out: a heap of deadlines, for which one uv_timer_t
// stands, and the list of those with frequency 0, which one uv_idle_t fires in every iteration (Reconciler has both).
// Nothing here touches libuv, so timeouts pass from loop to loop as they are.
//
// An update notes the frequency and the deadline under the mutex. A deadline that moves back needs nothing more
// ("lazy"): the heap's older entry fires, finds the new deadline, and is moved there. keepalive does this for every
// message. One that moves forward, and a frequency of 0, make the timeout dirty. The invariant, under the mutex, for a
// live timeout that is not dirty:
//
//     frequency > 0    it is in the heap, at `heap_due` <= `due`
//     frequency == 0   it is in the list
//
// Being in one of them though no longer wanted there is harmless; it is found out when its turn comes.
//
// Dispatch of the list takes no lock: the frequency is in the atomic word, below the id.
#pragma once

#include <libvirt/libvirt.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "clock.hpp"
#include "dirty_list.hpp"
#include "slot_table.hpp"
#include "tally.hpp"
#include "timer_heap.hpp"

namespace virt_uv {

struct Timeout {
  std::atomic<std::uint64_t> word{0};  // as in slot_table.hpp, the lower half is the frequency; written under the mutex
  virEventTimeoutCallback cb = nullptr;
  void *opaque = nullptr;
  virFreeCallback ff = nullptr;
  Tally tally;
  std::uint32_t next = 0;

  // Guarded by the table's mutex.
  bool dirty = false;               // in the dirty list, or put off; whoever sets it pushes it
  bool in_list = false;             // changed by the loop's thread only
  std::uint64_t due = kNever;       // when it is to fire, for a frequency > 0
  std::uint64_t heap_due = kNever;  // where it is in the heap; kNever: not in it. Changed by the loop's thread only

  // The loop's thread only.
  std::size_t heap_place = kNotInHeap;
  std::size_t list_place = 0;
};

inline constexpr std::uint64_t kFrequencyMask = 0xffffffff;
constexpr int frequency_of(std::uint64_t word) noexcept { return static_cast<int>(word & kFrequencyMask); }

class Timeouts {
 public:
  // Any thread. -1: see virt_uv_add_timeout.
  int add(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept;

  // Any thread. Does the loop's thread have to look?
  bool update(int id, int frequency) noexcept;

  // Any thread. Was it registered?
  bool remove(int id) noexcept;

  // --- The loop's thread only ---

  void reconcile() noexcept;
  // Looks again at what was put off, before its time.
  void retry() noexcept;

  // Calls what is due. Stops early when `stopped` becomes true (the loop was given up in a callback).
  void run_due(std::uint64_t loop_now_ms, const bool &stopped);
  // Calls those with frequency 0.
  void run_list(std::uint64_t loop_now_ms, const bool &stopped);

  // When run_due() has to be called next; kNever: not at all.
  std::uint64_t next_due() const noexcept { return std::min(retry_due_, heap_.empty() ? kNever : heap_.first_due()); }
  bool has_list() const noexcept { return !list_.empty(); }

  // Calls each `ff` that is due, on a clean stack.
  void run_frees() noexcept;
  bool has_frees() const noexcept { return !to_free_.empty(); }

  SlotTable<Timeout> table;

 private:
  bool schedule(Timeout &timeout, int frequency) noexcept;
  void reconcile(Timeout &timeout) noexcept;
  void reconcile_locked(Timeout &timeout);
  void put_off(Timeout &timeout) noexcept;
  bool take_due(Timeout &timeout, std::uint64_t now_ms) noexcept;
  bool leave_list_unless_wanted(Timeout &timeout) noexcept;
  void leave_list(Timeout &timeout) noexcept;

  DirtyList<Timeout> dirty_{table};
  SlotQueue<Timeout> to_free_{table};
  SlotQueue<Timeout> put_off_{table};  // dirty, with no memory for the queue that they are to be in
  std::uint64_t retry_due_ = kNever;
  bool retrying_ = false;
  TimerHeap<Timeout> heap_;
  std::vector<Timeout *> list_;
};

}  // namespace virt_uv
