// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The protocol of a watch: one atomic word, and every step by which a thread changes it. Here is the only
// compare-and-swap loop of watches; test/model has each step under the name in its `model:` comment.
//
// The word, so that any thread may change it at any time and no wake-up can be lost:
//
//     live, id     as in slot_word.hpp
//     wanted       the events to deliver; written by update and remove
//     armed        the events that the loop polls for, or will before it next sleeps; written by the loop's thread only
//     dirty        changed since the loop's thread last looked; the thread that sets it tells the loop's thread
//     deferred     the loop's thread has it in its retry list; set and cleared by that thread only
//     polled       the duplicate fd is the loop's thread's to close; set by it when it first arms the watch, and by an
//                  add that takes a handle which is open
//     direct       the thread that changes `wanted` tells the kernel (loop/kernel_mask.hpp); set and cleared by the
//                  loop's thread
//     elsewhere    another thread than the loop's has changed `wanted` since the last callback, of a direct watch; see
//                  loop/rests.hpp
//
// update() is one compare-and-swap. Where `wanted` is within `armed` nothing else need happen ("lazy": an event that is
// no longer wanted is dropped when it comes, and the poll set right then); where it is not, the same swap sets `dirty`.
// The loop's thread disarms by a swap too, which fails when `wanted` has changed under it. So this holds at every
// moment for every live watch, and is the invariant by which no event is lost:
//
//     armed covers wanted, or the watch is dirty, or it is deferred
//
// WRITABLE alone is not lazy: an fd is nearly always writable, so an event that nobody wants would come at once, and
// take an iteration (libvirtd has one for each reply that it sends). So a mask that leaves WRITABLE out, and something
// in, sets `dirty` too; the loop's thread makes the watch direct then, where it may. A mask of 0 is left alone until an
// event comes.
//
// A change of a deferred watch always makes it dirty, as nothing is armed: it is looked at again in the next iteration.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/masks.hpp"
#include "core/slot_word.hpp"

namespace virt_uv::core {

constexpr bool covers(int armed, int wanted) noexcept { return (wanted & ~armed) == 0; }

// A value of the word.
class WatchWord {
 public:
  static constexpr std::uint64_t kWantedMask = 0xf;
  static constexpr int kArmedShift = 4;
  static constexpr std::uint64_t kArmedMask = kWantedMask << kArmedShift;
  static constexpr std::uint64_t kDirty = 1u << 8;
  static constexpr std::uint64_t kPolled = 1u << 9;
  static constexpr std::uint64_t kDirect = 1u << 10;
  static constexpr std::uint64_t kDeferred = 1u << 11;
  static constexpr std::uint64_t kElsewhere = 1u << 12;

  constexpr explicit WatchWord(std::uint64_t bits) noexcept : bits_(bits) {}

  constexpr std::uint64_t bits() const noexcept { return bits_; }
  constexpr bool is_live() const noexcept { return core::is_live(bits_); }
  constexpr bool is_live_as(int id) const noexcept { return core::is_live_as(bits_, id); }
  constexpr int id() const noexcept { return id_of(bits_); }
  constexpr int wanted() const noexcept { return static_cast<int>(bits_ & kWantedMask); }
  constexpr int armed() const noexcept { return static_cast<int>((bits_ & kArmedMask) >> kArmedShift); }
  // Need nothing be done for what is wanted?
  constexpr bool is_served() const noexcept {
    const bool is_writable_in_vain = wanted() != 0 && (armed() & ~wanted() & kWritable) != 0 && !has(kDirect);
    return covers(armed(), wanted()) && !is_writable_in_vain;
  }
  constexpr bool has(std::uint64_t flag) const noexcept { return (bits_ & flag) != 0; }

  constexpr WatchWord with(std::uint64_t flag) const noexcept { return WatchWord(bits_ | flag); }
  constexpr WatchWord without(std::uint64_t flag) const noexcept { return WatchWord(bits_ & ~flag); }
  constexpr WatchWord with_wanted(int wanted) const noexcept {
    return WatchWord((bits_ & ~kWantedMask) | static_cast<std::uint64_t>(wanted));
  }
  constexpr WatchWord with_armed(int armed) const noexcept {
    return WatchWord((bits_ & ~kArmedMask) | static_cast<std::uint64_t>(armed) << kArmedShift);
  }

 private:
  std::uint64_t bits_;
};

// What a step did: the word before and after it.
struct WatchChange {
  bool made;  // false: the step does not apply to `before`, which stays
  WatchWord before;
  WatchWord after;

  bool became(std::uint64_t flag) const noexcept { return after.has(flag) && !before.has(flag); }
};

class WatchState {
 public:
  WatchState() = default;
  explicit WatchState(WatchWord word) noexcept : word_(word.bits()) {}

  WatchWord load() const noexcept { return WatchWord(word_.load(std::memory_order_acquire)); }
  WatchWord load_relaxed() const noexcept { return WatchWord(word_.load(std::memory_order_relaxed)); }

  // --- A slot's life; the table's mutex is held ---

  void set_free(int id) noexcept { word_.store(free_word(id), std::memory_order_release); }

  // The number that it polls is the loop's thread's to close from the beginning.
  void set_polled() noexcept { word_.fetch_or(WatchWord::kPolled, std::memory_order_relaxed); }

  // add, last: what was written before is seen by every thread that finds the watch live.
  WatchWord publish(int wanted) noexcept {  // model: ADD_PUBLISH
    WatchWord word = load_relaxed().with_wanted(wanted).with(kLive);
    if (wanted != 0) word = word.with(WatchWord::kDirty);
    word_.store(word.bits(), std::memory_order_release);
    return word;
  }

  // --- Any thread ---

  WatchChange update(int id, int wanted) noexcept {  // model: UPDATE_SWAP
    return change([=](WatchWord &word) {
      if (!word.is_live_as(id) || word.wanted() == wanted) return false;
      word = word.with_wanted(wanted);
      if (!word.is_served()) word = word.with(WatchWord::kDirty);
      return true;
    });
  }

  WatchChange remove(int id) noexcept {  // model: REMOVE_SWAP
    return change([=](WatchWord &word) {
      if (!word.is_live_as(id)) return false;
      word = word.with_wanted(0).without(kLive).with(WatchWord::kDirty);
      return true;
    });
  }

  // After an update of a direct watch, by another thread than the loop's.
  void note_elsewhere(int id) noexcept {
    change([=](WatchWord &word) {
      if (!word.is_live_as(id)) return false;
      word = word.with(WatchWord::kElsewhere);
      return true;
    });
  }

  // --- The loop's thread ---

  // Takes notice of what is wanted: it is dirty and deferred no more. Where it is not served, that is armed; or, where
  // just WRITABLE is armed in vain, a watch that may be direct is so from here on. Does not apply to a watch that is
  // not live: it is to be released.
  WatchChange reconcile(bool may_be_direct) noexcept {  // model: RECONCILE_SWAP
    return change([=](WatchWord &word) {
      if (!word.is_live()) return false;
      word = word.without(WatchWord::kDirty | WatchWord::kDeferred);
      if (word.is_served()) return true;
      if (may_be_direct && covers(word.armed(), word.wanted()))
        word = word.with(WatchWord::kDirect);
      else
        word = word.with_armed(word.wanted()).with(WatchWord::kPolled);
      return true;
    });
  }

  // Nothing is armed, and the watch goes to the retry list: unless it is dirty, and so looked at even sooner.
  WatchChange defer() noexcept {  // model: DEFER_SWAP
    return change([](WatchWord &word) {
      const bool is_dirty = word.has(WatchWord::kDirty);
      word = word.with_armed(0).with(is_dirty ? WatchWord::kDirty : WatchWord::kDeferred);
      return true;
    });
  }

  // Arms just what is wanted, where more is armed. Does not apply where it is not, or the watch is not live.
  WatchChange narrow() noexcept {  // model: NARROW_SWAP
    return change([](WatchWord &word) {
      if (!word.is_live() || covers(word.wanted(), word.armed())) return false;
      word = word.with_armed(word.wanted());
      return true;
    });
  }

  // Direct from here on, where there is anything to withhold.
  WatchChange make_direct() noexcept {  // model: DIRECT_SWAP
    return change([](WatchWord &word) {
      if (!word.is_live() || (word.armed() & ~word.wanted() & kReadWrite) == 0) return false;
      word = word.with(WatchWord::kDirect);
      return true;
    });
  }

  // Taken out of the retry list, to go to the dirty list.
  void make_dirty() noexcept {  // model: UNDEFER_SWAP
    change([](WatchWord &word) {
      word = word.without(WatchWord::kDeferred).with(WatchWord::kDirty);
      return true;
    });
  }

  void end_direct() noexcept { word_.fetch_and(~WatchWord::kDirect, std::memory_order_acq_rel); }
  void end_elsewhere() noexcept { word_.fetch_and(~WatchWord::kElsewhere, std::memory_order_acq_rel); }

  // Its loop goes: nothing is armed, the duplicate is the remover's to close, and the next loop has to look at it. Does
  // not apply to a watch that is not live.
  WatchChange leave_loop() noexcept {  // model: LEAVE_SWAP
    return change([](WatchWord &word) {
      if (!word.is_live()) return false;
      word = word.with_armed(0).without(WatchWord::kPolled | WatchWord::kDirect);
      if (word.wanted() != 0) word = word.with(WatchWord::kDirty);
      return true;
    });
  }

  // --- A child after fork(), alone ---

  // The watch stays its parent's: here it is not live, and its slot is not used again.
  void disown() noexcept { word_.fetch_and(~kLive, std::memory_order_relaxed); }

 private:
  // `step` changes the word that it is given and returns true; or returns false, and nothing is changed.
  template <typename Step>
  WatchChange change(Step step) noexcept {
    std::uint64_t before = word_.load(std::memory_order_acquire);
    for (;;) {
      WatchWord after(before);
      if (!step(after)) return {false, WatchWord(before), WatchWord(before)};
      if (word_.compare_exchange_weak(before, after.bits(), std::memory_order_acq_rel, std::memory_order_acquire))
        return {true, WatchWord(before), after};
    }
  }

  std::atomic<std::uint64_t> word_{0};
};

}  // namespace virt_uv::core
