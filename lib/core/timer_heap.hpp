// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A binary heap of deadlines. Each item knows its place (Item::heap_place), so that one can be moved or taken out in
// logarithmic time; the deadlines lie in the heap's own array, so that comparing them touches no item.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace virt_uv::core {

inline constexpr std::size_t kNotInHeap = SIZE_MAX;

template <typename Item>
class TimerHeap {
 public:
  bool empty() const noexcept { return entries_.empty(); }
  std::uint64_t first_due() const noexcept { return entries_.front().due; }
  Item &first() const noexcept { return *entries_.front().item; }

  // Makes room for one item more. Throws std::bad_alloc, with nothing changed.
  void reserve_one() {
    if (entries_.size() == entries_.capacity()) entries_.reserve(std::max<std::size_t>(16, 2 * entries_.size()));
  }

  // Puts the item in, or moves it. For an item that is not in, reserve_one() has made room.
  void set(Item &item, std::uint64_t due) noexcept {
    if (item.heap_place == kNotInHeap) {
      entries_.push_back({due, &item});
      item.heap_place = entries_.size() - 1;
    } else {
      entries_[item.heap_place].due = due;
    }
    sift(item.heap_place);
  }

  // Nothing for an item that is not in.
  void erase(Item &item) noexcept {
    const std::size_t place = item.heap_place;
    if (place == kNotInHeap) return;
    item.heap_place = kNotInHeap;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (last.item == &item) return;
    put(place, last);
    sift(place);
  }

 private:
  struct Entry {
    std::uint64_t due;
    Item *item;
  };

  void put(std::size_t place, const Entry &entry) noexcept {
    entries_[place] = entry;
    entry.item->heap_place = place;
  }

  void sift(std::size_t place) noexcept { sift_down(sift_up(place)); }

  std::size_t sift_up(std::size_t place) noexcept {
    const Entry entry = entries_[place];
    while (place > 0 && entry.due < entries_[(place - 1) / 2].due) {
      put(place, entries_[(place - 1) / 2]);
      place = (place - 1) / 2;
    }
    put(place, entry);
    return place;
  }

  void sift_down(std::size_t place) noexcept {
    const Entry entry = entries_[place];
    for (;;) {
      std::size_t child = 2 * place + 1;
      if (child >= entries_.size()) break;
      if (child + 1 < entries_.size() && entries_[child + 1].due < entries_[child].due) ++child;
      if (entry.due <= entries_[child].due) break;
      put(place, entries_[child]);
      place = child;
    }
    put(place, entry);
  }

  std::vector<Entry> entries_;
};

}  // namespace virt_uv::core
