// SPDX-License-Identifier: LGPL-2.1-or-later
#include "timeout.hpp"

#include <uv.h>

#include <algorithm>
#include <new>

#include "callout.hpp"
#include "counters.hpp"
#include "log.hpp"

namespace virt_uv {
namespace {

constexpr std::uint64_t kRetryMs = 100;

int failed(const char *why) noexcept {
  counters.failures.raise();
  log::error("cannot add a timeout: {}", why);
  return -1;
}

constexpr std::uint64_t with_frequency(std::uint64_t word, int frequency) noexcept {
  return (word & ~kFrequencyMask) | static_cast<std::uint32_t>(frequency);
}

std::uint64_t due_after(int frequency) noexcept {
  return frequency > 0 ? milliseconds_rounded_up(uv_hrtime()) + static_cast<std::uint64_t>(frequency) : kNever;
}

std::uint64_t load(const Timeout &timeout) noexcept { return timeout.word.load(std::memory_order_acquire); }

constexpr bool fires_in_every_iteration(std::uint64_t word) noexcept {
  return (word & (kLive | kFrequencyMask)) == kLive;
}

void call(Timeout &timeout, std::uint64_t word, std::uint64_t now_ms) {
  const int id = id_of(word);
  call_back({"timeout", id}, timeout.tally, now_ms, [&] { timeout.cb(id, timeout.opaque); });
}

}  // namespace

int Timeouts::add(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept {
  if (cb == nullptr) return failed("the callback is NULL");
  const std::uint64_t due = due_after(frequency);
  Timeout *timeout;
  int id = -1;
  bool became_dirty = false;
  {
    Lock lock(table.mutex());
    timeout = table.take();
    if (timeout != nullptr) {
      timeout->cb = cb;
      timeout->opaque = opaque;
      timeout->ff = ff;
      timeout->tally.reset();
      timeout->due = due;
      const std::uint64_t free_word = timeout->word.load(std::memory_order_relaxed);
      id = id_of(free_word);
      timeout->word.store(with_frequency(free_word, frequency) | kLive, std::memory_order_release);
      became_dirty = schedule(*timeout, frequency);
    }
  }
  if (timeout == nullptr) return failed(uv_strerror(UV_ENOMEM));
  counters.added_timeouts.raise();
  if (became_dirty) dirty_.push(*timeout);
  log::debug("timeout {}: every {} ms", id, frequency);
  return id;
}

bool Timeouts::update(int id, int frequency) noexcept {
  Timeout *timeout = table.find(id);
  if (timeout == nullptr) return false;
  const std::uint64_t due = due_after(frequency);
  bool became_dirty;
  {
    Lock lock(table.mutex());
    const std::uint64_t word = load(*timeout);
    if (!is(word, id)) return false;
    timeout->word.store(with_frequency(word, frequency), std::memory_order_release);
    timeout->due = due;
    became_dirty = schedule(*timeout, frequency);
  }
  if (became_dirty) dirty_.push(*timeout);
  return became_dirty;
}

bool Timeouts::remove(int id) noexcept {
  Timeout *timeout = table.find(id);
  if (timeout == nullptr) return false;
  bool became_dirty;
  {
    Lock lock(table.mutex());
    const std::uint64_t word = load(*timeout);
    if (!is(word, id)) return false;
    timeout->word.store(word & ~kLive, std::memory_order_release);
    became_dirty = !timeout->dirty;
    timeout->dirty = true;
  }
  counters.removed_timeouts.raise();
  if (became_dirty) dirty_.push(*timeout);
  log::debug("timeout {}: removed", id);
  return true;
}

// Marks the timeout dirty where its place in heap or list does not serve its new frequency and deadline. True: the
// caller pushes it. The caller holds the mutex.
bool Timeouts::schedule(Timeout &timeout, int frequency) noexcept {
  const bool served = frequency < 0 || (frequency == 0 ? timeout.in_list : timeout.heap_due <= timeout.due);
  if (served || timeout.dirty) return false;
  timeout.dirty = true;
  return true;
}

// --- The loop's thread ---

void Timeouts::reconcile() noexcept {
  if (retry_due_ != kNever && milliseconds(uv_hrtime()) >= retry_due_) retry();
  if (dirty_.empty()) return;
  dirty_.consume([this](Timeout &timeout) { reconcile(timeout); });
}

void Timeouts::retry() noexcept {
  retry_due_ = kNever;
  retrying_ = true;
  put_off_.consume([this](Timeout &timeout) { reconcile(timeout); });
  retrying_ = false;
}

// There was no memory for its place in heap or list. It stays dirty, and in no other list.
void Timeouts::put_off(Timeout &timeout) noexcept {
  if (!retrying_) {
    counters.failures.raise();
    log::error("timeout {} cannot be started: {}; trying again every {} ms", id_of(load(timeout)),
               uv_strerror(UV_ENOMEM), kRetryMs);
  }
  put_off_.push(timeout);
  retry_due_ = std::min(retry_due_, milliseconds_rounded_up(uv_hrtime()) + kRetryMs);
}

void Timeouts::reconcile(Timeout &timeout) noexcept {
  bool removed;
  try {
    Lock lock(table.mutex());
    removed = !is_live(load(timeout));
    reconcile_locked(timeout);
    timeout.dirty = false;
  } catch (const std::bad_alloc &) {
    put_off(timeout);
    return;
  }
  if (removed) to_free_.push(timeout);
}

void Timeouts::reconcile_locked(Timeout &timeout) {
  const std::uint64_t word = load(timeout);
  if (!is_live(word)) {
    heap_.erase(timeout);
    timeout.heap_due = kNever;
    if (timeout.in_list) leave_list(timeout);
    return;
  }
  if (frequency_of(word) == 0 && !timeout.in_list) {
    list_.push_back(&timeout);
    timeout.list_place = list_.size() - 1;
    timeout.in_list = true;
  }
  if (frequency_of(word) > 0 && timeout.due < timeout.heap_due) {
    heap_.set(timeout, timeout.due);
    timeout.heap_due = timeout.due;
  }
}

void Timeouts::run_due(std::uint64_t loop_now_ms, const bool &stopped) {
  // Fixed for the whole run: what is put back gets a later deadline, so the run ends.
  const std::uint64_t now_ms = milliseconds(uv_hrtime());
  while (!stopped && !heap_.empty() && heap_.first_due() <= now_ms) {
    Timeout &timeout = heap_.first();
    if (take_due(timeout, now_ms)) call(timeout, load(timeout), loop_now_ms);
  }
}

// Moves the timeout to where it is due next. True: it is to be called now.
bool Timeouts::take_due(Timeout &timeout, std::uint64_t now_ms) noexcept {
  Lock lock(table.mutex());
  const std::uint64_t word = load(timeout);
  if (!is_live(word) || frequency_of(word) <= 0) {
    heap_.erase(timeout);
    timeout.heap_due = kNever;
    return false;
  }
  const bool due = timeout.due <= now_ms;
  if (due) timeout.due = due_after(frequency_of(word));
  heap_.set(timeout, timeout.due);
  timeout.heap_due = timeout.due;
  return due;
}

void Timeouts::run_list(std::uint64_t loop_now_ms, const bool &stopped) {
  std::size_t place = 0;
  while (!stopped && place < list_.size()) {
    Timeout &timeout = *list_[place];
    const std::uint64_t word = load(timeout);
    if (fires_in_every_iteration(word)) call(timeout, word, loop_now_ms);
    if (stopped) return;  // the list was reconciled when the loop was given up: the timeout may have left it
    const bool stays = fires_in_every_iteration(load(timeout)) || !leave_list_unless_wanted(timeout);
    if (stays) ++place;  // else the last one has come to this place
  }
}

// False: another thread has set it to 0 again meanwhile, and found it in the list.
bool Timeouts::leave_list_unless_wanted(Timeout &timeout) noexcept {
  Lock lock(table.mutex());
  if (fires_in_every_iteration(load(timeout))) return false;
  leave_list(timeout);
  return true;
}

// The caller holds the mutex.
void Timeouts::leave_list(Timeout &timeout) noexcept {
  Timeout *last = list_.back();
  list_[timeout.list_place] = last;
  last->list_place = timeout.list_place;
  list_.pop_back();
  timeout.in_list = false;
}

void Timeouts::run_frees() noexcept {
  to_free_.consume([this](Timeout &timeout) {
    if (timeout.ff != nullptr) call_guarded([&timeout] { timeout.ff(timeout.opaque); });
    counters.frees.raise();
    Lock lock(table.mutex());
    table.give(timeout);
  });
}

}  // namespace virt_uv
