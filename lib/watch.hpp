// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Watches: what libvirt wants of each fd. Nothing here touches libuv; that is polls.hpp.
//
// A watch's state is one atomic word, so that any thread may change it at any time and no wake-up can be lost:
//
//     live, id     as in slot_table.hpp
//     wanted       the events to deliver; written by update and remove
//     armed        the events that libuv polls for, or will before it next sleeps; written by the loop's thread only
//     dirty        the loop's thread has to look at this watch; whoever sets it pushes the watch on the dirty list
//     loops        the duplicate fd is the loop's thread's to close; set by it when it first arms the watch
//     direct       who changes `wanted` to or from 0 tells the kernel (kernel_masks.hpp); set by the loop's thread
//
// update() is one compare-and-swap. Where `wanted` is within `armed` nothing else need happen ("lazy": an event that is
// no longer wanted is dropped when it comes, and the poll set right then); where it is not, the same swap sets `dirty`.
// The loop's thread disarms by a swap too, which fails when `wanted` has changed under it. So "armed covers wanted, or
// dirty is set" holds at every moment for every live watch: that is the invariant by which no event is lost.
//
// The other members, but for `muted`, are written by add before the watch is live, and not again until its slot is
// given back, which the loop's thread alone does: so dispatch, on that thread, reads them without a lock.
#pragma once

#include <libvirt/libvirt.h>

#include <atomic>
#include <cstdint>

#include "dirty_list.hpp"
#include "events.hpp"
#include "kernel_masks.hpp"
#include "slot_table.hpp"
#include "tally.hpp"

namespace virt_uv {

inline constexpr std::uint64_t kWantedMask = 0xf;
inline constexpr int kArmedShift = 4;
inline constexpr std::uint64_t kArmedMask = kWantedMask << kArmedShift;
inline constexpr std::uint64_t kDirty = 1u << 8;
inline constexpr std::uint64_t kLoops = 1u << 9;
inline constexpr std::uint64_t kDirect = 1u << 10;

constexpr int wanted_of(std::uint64_t word) noexcept { return static_cast<int>(word & kWantedMask); }
constexpr int armed_of(std::uint64_t word) noexcept { return static_cast<int>((word & kArmedMask) >> kArmedShift); }
constexpr std::uint64_t with_wanted(std::uint64_t word, int wanted) noexcept {
  return (word & ~kWantedMask) | static_cast<std::uint64_t>(wanted);
}
constexpr std::uint64_t with_armed(std::uint64_t word, int armed) noexcept {
  return (word & ~kArmedMask) | static_cast<std::uint64_t>(armed) << kArmedShift;
}
constexpr bool covers(int armed, int wanted) noexcept { return (wanted & ~armed) == 0; }

// One cache line: with thousands of ready fds the cache decides how fast dispatch is.
struct alignas(64) Watch {
  std::atomic<std::uint64_t> word{0};
  virEventHandleCallback cb = nullptr;
  void *opaque = nullptr;
  virFreeCallback ff = nullptr;
  Tally tally;
  int fd = -1;               // the caller's number: told to the callback, never used
  std::atomic<int> dup{-1};  // the duplicate that is polled
  std::uint32_t next = 0;

  // The loop's thread only.
  FdKind kind = FdKind::kUnknown;
  bool has_poll = false;  // its uv_poll_t is initialised; a close that has begun ends in Polls::on_closed
  bool freed = false;     // `ff` has been called: the slot can be given back once has_poll is false

  bool muted = false;  // KernelMasks has it
};
static_assert(sizeof(Watch) == 64, "a watch is one cache line");

class Watches {
 public:
  // Any thread. -1: see virt_uv_add_handle.
  int add(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept;

  // Any thread. Does the loop's thread have to look?
  bool update(int id, int events) noexcept;

  // Any thread. The watch, now dirty and no longer live; or nullptr.
  Watch *remove(int id) noexcept;

  // The loop's thread: calls each `ff` that is due, on a clean stack.
  void run_frees() noexcept;
  bool has_frees() const noexcept { return !to_free.empty(); }

  // The loop's thread: gives back the slot of a watch that is freed and has no poll.
  void give_back(Watch &watch) noexcept;

  SlotTable<Watch> table;
  KernelMasks masks;
  DirtyList<Watch> dirty{table};
  SlotQueue<Watch> to_free{table};  // the loop's thread only
};

}  // namespace virt_uv
