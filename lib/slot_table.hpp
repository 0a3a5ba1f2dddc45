// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots by id: what libvirt wants, one slot for each watch or timeout.
//
// An id is a slot's index and, above it, the slot's generation, which grows each time the slot is reused: so a stale
// id finds its slot with another id in it, and is refused (contract.md, row 1). A slot whose generations are used up
// is reused only after every other one, which makes 2^31 adds between two uses of an id. Index 0 is never used, so
// ids start at 1.
//
// Slots never move, and chunks live as long as the table. That makes find() safe on any thread without a lock: it may
// find a slot that is free or has a new owner by now, never memory that is gone; the caller judges by the slot's own
// word, which carries the id.
//
// A slot type has: std::atomic<std::uint64_t> word, whose upper half is laid out as below; std::uint32_t next, for
// the one list that the slot is in at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "lock.hpp"
#include "slot_queue.hpp"

namespace virt_uv {

// The upper half of a slot's word. The lower half is the slot's own.
inline constexpr std::uint64_t kLive = std::uint64_t{1} << 63;  // from add to remove
inline constexpr int kIdShift = 32;

constexpr int id_of(std::uint64_t word) noexcept { return static_cast<int>(word >> kIdShift & 0x7fffffff); }
constexpr bool is_live(std::uint64_t word) noexcept { return (word & kLive) != 0; }
constexpr bool is(std::uint64_t word, int id) noexcept { return is_live(word) && id_of(word) == id; }
constexpr std::uint64_t word_for(int id) noexcept { return static_cast<std::uint64_t>(id) << kIdShift; }

template <typename Slot>
class SlotTable {
 public:
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
  static std::uint32_t index_of(const Slot &slot) noexcept {
    return index_of(id_of(slot.word.load(std::memory_order_relaxed)));
  }

  // Guards take(), give() and the members of slots that are being filled in or walked.
  Mutex &mutex() noexcept { return mutex_; }

  // Any thread, no lock. nullptr: no such slot was ever used.
  Slot *find(int id) const noexcept { return id > 0 ? at(index_of(id)) : nullptr; }

  // A slot that find() or take() has answered before.
  Slot &operator[](std::uint32_t index) const noexcept { return *at(index); }

  // A free slot: its word is word_for(its next id). nullptr: no memory. The caller holds mutex().
  Slot *take() noexcept {
    if (free_ != 0) return take_last_given();
    if (used_ < kMaxIndex) return take_fresh();
    return spent_.empty() ? nullptr : &spent_.pop();
  }

  // Takes back a slot that is not live and in no list. Only the loop's thread does, so what it reads of a slot
  // stays that slot's while it reads. The caller holds mutex().
  void give(Slot &slot) noexcept {
    const int id = id_of(slot.word.load(std::memory_order_relaxed));
    const bool spent = static_cast<std::uint32_t>(id) >> kIndexBits == kLastGeneration;
    const int next_id = spent ? static_cast<int>(index_of(id)) : id + (1 << kIndexBits);
    slot.word.store(word_for(next_id), std::memory_order_release);
    if (spent) {
      spent_.push(slot);
    } else {
      slot.next = free_;
      free_ = index_of(slot);
    }
  }

  // Calls fn(slot) for every slot that was ever used. The caller holds mutex().
  template <typename Fn>
  void for_each(Fn &&fn) {
    for (std::uint32_t index = 1; index <= used_; ++index) fn((*this)[index]);
  }

 private:
  static constexpr std::uint32_t kLastGeneration = (1u << (31 - kIndexBits)) - 1;

  struct Chunk {
    std::array<Slot, kChunkSize> slots;
  };

  Slot *at(std::uint32_t index) const noexcept {
    Chunk *chunk = chunks_[index >> kChunkBits].load(std::memory_order_acquire);
    return chunk != nullptr ? &chunk->slots[index & (kChunkSize - 1)] : nullptr;
  }

  Slot *take_fresh() noexcept {
    std::atomic<Chunk *> &chunk = chunks_[(used_ + 1) >> kChunkBits];
    if (chunk.load(std::memory_order_relaxed) == nullptr) {
      Chunk *created = new (std::nothrow) Chunk;
      if (created == nullptr) return nullptr;
      chunk.store(created, std::memory_order_release);
    }
    Slot *slot = at(++used_);
    slot->word.store(word_for(static_cast<int>(used_)), std::memory_order_release);
    return slot;
  }

  Slot *take_last_given() noexcept {
    Slot *slot = at(free_);
    free_ = slot->next;
    slot->next = 0;
    return slot;
  }

  Mutex mutex_;
  std::array<std::atomic<Chunk *>, kChunks> chunks_{};
  std::uint32_t used_ = 0;  // indexes 1 to used_ have been taken at least once
  std::uint32_t free_ = 0;  // an index, the others behind it; last in, first out: the next add finds it in the cache
  SlotQueue<Slot> spent_{*this};
};

}  // namespace virt_uv
