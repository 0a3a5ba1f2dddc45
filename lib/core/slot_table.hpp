// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots by id: what libvirt wants, one slot for each watch or timeout.
//
// An id is a slot's index and, above it, the slot's generation, which grows each time the slot is reused: so a stale
// id finds its slot with another id in it, and is refused (doc/contract.md, row 1). A slot whose generations are used
// up is reused only after every other one, which makes 2^31 adds between two uses of an id. Index 0 is never used, so
// ids start at 1.
//
// Slots never move, and chunks live as long as the table. That makes find() safe on any thread without a lock: it may
// find a slot that is free or has a new owner by now, never memory that is gone; the caller judges by the slot's own
// word, which carries the id.
//
// A slot type has: slot_id() and set_free(id), which read and write the id in its word (slot_word.hpp); std::uint32_t
// next, for the one list that the slot is in at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "core/mutex.hpp"
#include "core/slot_lists.hpp"

namespace virt_uv::core {

template <typename Slot>
class SlotTable {
 public:
  using SlotType = Slot;

  static constexpr int kIndexBits = 20;
  static constexpr std::uint32_t kMaxIndex = (1u << kIndexBits) - 1;
  static constexpr int kChunkBits = 8;
  static constexpr std::uint32_t kChunkSize = 1u << kChunkBits;
  static constexpr std::uint32_t kChunks = 1u << (kIndexBits - kChunkBits);

  SlotTable() = default;
  SlotTable(const SlotTable &) = delete;
  SlotTable &operator=(const SlotTable &) = delete;
  ~SlotTable() {
    for (std::atomic<Chunk *> &chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
  }

  static constexpr std::uint32_t index_of(int id) noexcept { return static_cast<std::uint32_t>(id) & kMaxIndex; }
  static std::uint32_t index_of(const Slot &slot) noexcept { return index_of(slot.slot_id()); }

  // Guards allocate(), free() and the members of slots that are being filled in or walked.
  Mutex &mutex() noexcept VIRT_UV_RETURNS(mutex_) { return mutex_; }

  // Any thread, no lock. nullptr: no such slot was ever used.
  Slot *find(int id) const noexcept { return id > 0 ? at(index_of(id)) : nullptr; }

  // A slot that find() or allocate() has returned before.
  Slot &operator[](std::uint32_t index) const noexcept { return *at(index); }

  // A free slot, which has its next id. nullptr: no memory, or every slot is in use (is_full()).
  Slot *allocate() noexcept VIRT_UV_REQUIRES(mutex_) {
    Slot *slot = nullptr;
    if (free_ != 0)
      slot = allocate_last_freed();
    else if (used_ < kMaxIndex)
      slot = allocate_fresh();
    else if (!spent_.empty())
      slot = &spent_.pop();
    if (slot != nullptr) ++chunk_of(*slot).in_use;
    return slot;
  }

  bool is_full() const noexcept VIRT_UV_REQUIRES(mutex_) { return free_ == 0 && used_ == kMaxIndex && spent_.empty(); }

  // Are the slot's generations used up?
  static bool is_spent(const Slot &slot) noexcept {
    return static_cast<std::uint32_t>(slot.slot_id()) >> kIndexBits == kLastGeneration;
  }

  // Gives a slot that is not live and not spent its next id.
  static void renew(Slot &slot) noexcept { slot.set_free(slot.slot_id() + (1 << kIndexBits)); }

  // Takes back a slot that is not live and in no list. Only the loop's thread does, so what it reads of a slot
  // stays that slot's while it reads.
  void free(Slot &slot) noexcept VIRT_UV_REQUIRES(mutex_) {
    --chunk_of(slot).in_use;
    if (is_spent(slot)) {
      slot.set_free(static_cast<int>(index_of(slot)));
      spent_.push(slot);
    } else {
      renew(slot);
      slot.next = free_;
      free_ = index_of(slot);
    }
  }

  // Calls fn(slot) for every slot in use, and others beside them, with the mutex held; and between() without it after
  // every chunk, so that no thread waits for the mutex longer than one chunk takes. What is allocated meanwhile may be
  // missed.
  template <typename Fn, typename Between>
  void for_each(Fn &&fn, Between &&between) {
    for (std::uint32_t number = 0; for_each_in(number, fn); ++number) between();
  }

  // for_each() in one chunk. False: there is no such chunk, and none behind it.
  template <typename Fn>
  bool for_each_in(std::uint32_t number, Fn &&fn) {
    Chunk *chunk = number < kChunks ? chunks_[number].load(std::memory_order_acquire) : nullptr;
    if (chunk == nullptr) return false;
    Lock lock(mutex_);
    if (chunk->in_use == 0) return true;
    for (Slot &slot : chunk->slots)
      if (slot.slot_id() != 0) fn(slot);
    return true;
  }

  // for_each(), for a child after fork(), which has one thread: no lock.
  template <typename Fn>
  void for_each_alone(Fn &&fn) {
    for (std::atomic<Chunk *> &chunk : chunks_) {
      if (chunk.load(std::memory_order_relaxed) == nullptr) break;
      for (Slot &slot : chunk.load(std::memory_order_relaxed)->slots)
        if (slot.slot_id() != 0) fn(slot);
    }
  }

 private:
  static constexpr std::uint32_t kLastGeneration = (1u << (31 - kIndexBits)) - 1;

  struct Chunk {
    std::array<Slot, kChunkSize> slots;
    std::uint32_t in_use = 0;  // under the mutex
  };

  Slot *at(std::uint32_t index) const noexcept {
    Chunk *chunk = chunks_[index >> kChunkBits].load(std::memory_order_acquire);
    return chunk != nullptr ? &chunk->slots[index & (kChunkSize - 1)] : nullptr;
  }

  Chunk &chunk_of(const Slot &slot) const noexcept {
    return *chunks_[index_of(slot) >> kChunkBits].load(std::memory_order_relaxed);
  }

  Slot *allocate_fresh() noexcept VIRT_UV_REQUIRES(mutex_) {
    std::atomic<Chunk *> &chunk = chunks_[(used_ + 1) >> kChunkBits];
    if (chunk.load(std::memory_order_relaxed) == nullptr) {
      Chunk *created = new (std::nothrow) Chunk;
      if (created == nullptr) return nullptr;
      chunk.store(created, std::memory_order_release);
    }
    Slot *slot = at(++used_);
    slot->set_free(static_cast<int>(used_));
    return slot;
  }

  Slot *allocate_last_freed() noexcept VIRT_UV_REQUIRES(mutex_) {
    Slot *slot = at(free_);
    free_ = slot->next;
    slot->next = 0;
    return slot;
  }

  Mutex mutex_;
  std::array<std::atomic<Chunk *>, kChunks> chunks_{};
  std::uint32_t used_ VIRT_UV_GUARDED_BY(mutex_) = 0;  // indexes 1 to used_ have been allocated at least once
  // An index, the others behind it; last in, first out: the next add finds it in the cache.
  std::uint32_t free_ VIRT_UV_GUARDED_BY(mutex_) = 0;
  SlotQueue<SlotTable> spent_ VIRT_UV_GUARDED_BY(mutex_){*this};
};

}  // namespace virt_uv::core
