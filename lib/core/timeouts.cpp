// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/timeouts.hpp"

#include <cerrno>
#include <new>

#include "core/call_out.hpp"
#include "core/errno_text.hpp"
#include "core/no_cancel.hpp"
#include "core/probes.hpp"

namespace virt_uv::core {
namespace {

constexpr std::uint64_t with_frequency(std::uint64_t word, int frequency) noexcept {
  return (word & ~kFrequencyMask) | static_cast<std::uint32_t>(frequency);
}

std::uint64_t due_after(int frequency) noexcept {
  return frequency > 0 ? deadline_in(static_cast<std::uint64_t>(frequency)) : kNever;
}

std::uint64_t load(const Timeout &timeout) noexcept { return timeout.word.load(std::memory_order_acquire); }

constexpr bool fires_in_every_iteration(std::uint64_t word) noexcept {
  return (word & (kLive | kFrequencyMask)) == kLive;
}

}  // namespace

// --- Any thread ---

int Timeouts::failed(const char *why) noexcept {
  context_.counters.failures.increment();
  context_.log.error("cannot add a timeout: {}", why);
  return -1;
}

int Timeouts::add(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept {
  if (cb == nullptr) return failed("the callback is NULL");
  NoCancel no_cancel;
  const std::uint64_t due = due_after(frequency);
  Timeout *timeout;
  bool is_full;
  int id = -1;
  Tell whom = Tell::kNobody;
  {
    Lock lock(table_.mutex());
    is_full = table_.is_full();
    timeout = table_.allocate();
    if (timeout != nullptr) {
      timeout->cb = cb;
      timeout->opaque = opaque;
      timeout->ff = ff;
      timeout->stats.reset();
      timeout->due = due;
      timeout->failed_to_start = false;
      id = timeout->slot_id();
      timeout->word.store(with_frequency(free_word(id), frequency) | kLive, std::memory_order_release);
      whom = schedule(*timeout, frequency);
    }
  }
  if (timeout == nullptr)
    return failed(is_full ? "a million timeouts are registered, which is the limit" : ErrnoText(ENOMEM).get());
  context_.counters.timeouts.add();
  tell(whom, *timeout);
  context_.log.debug("timeout {}: every {} ms", id, frequency);
  return id;
}

bool Timeouts::update(int id, int frequency) noexcept {
  Timeout *timeout = table_.find(id);
  if (timeout == nullptr) return false;
  const std::uint64_t due = due_after(frequency);
  Tell whom;
  {
    Lock lock(table_.mutex());
    const std::uint64_t word = load(*timeout);
    if (!is_live_as(word, id)) return false;
    timeout->word.store(with_frequency(word, frequency), std::memory_order_release);
    timeout->due = due;
    whom = schedule(*timeout, frequency);
  }
  return tell(whom, *timeout);
}

bool Timeouts::remove(int id) noexcept {
  Timeout *timeout = table_.find(id);
  if (timeout == nullptr) return false;
  Tell whom;
  {
    Lock lock(table_.mutex());
    const std::uint64_t word = load(*timeout);
    if (!is_live_as(word, id)) return false;
    timeout->word.store(word & ~kLive, std::memory_order_release);
    whom = mark_changed(*timeout);
    // Before the loop's thread can free it.
    context_.counters.timeouts.remove();
  }
  tell(whom, *timeout);
  return true;
}

bool Timeouts::has(int id, virEventTimeoutCallback cb, const void *opaque) noexcept {
  Lock lock(table_.mutex());
  const Timeout *timeout = table_.find(id);
  return timeout != nullptr && is_live_as(load(*timeout), id) && timeout->cb == cb && timeout->opaque == opaque;
}

Timeouts::Tell Timeouts::mark_changed(Timeout &timeout) noexcept {
  if (timeout.dirty) return Tell::kNobody;
  timeout.dirty = true;
  return timeout.deferred ? Tell::kRetryList : Tell::kDirtyList;
}

// Marks the timeout where its place in heap or list does not serve its new frequency and deadline.
Timeouts::Tell Timeouts::schedule(Timeout &timeout, int frequency) noexcept {
  const bool is_served = frequency < 0 || (frequency == 0 ? timeout.in_list : timeout.heap_due <= timeout.due);
  return is_served ? Tell::kNobody : mark_changed(timeout);
}

// The thread that has marked a timeout tells the loop's thread, without the mutex. Does that thread have to look?
bool Timeouts::tell(Tell whom, Timeout &timeout) noexcept {
  if (whom == Tell::kRetryList) deferred_.request();
  if (whom == Tell::kDirtyList) dirty_.push(timeout);
  return whom != Tell::kNobody;
}

// --- The loop's thread: reconciling ---

void Timeouts::reconcile() noexcept {
  if (deferred_.is_due()) deferred_.consume([this](Timeout &timeout) { reconcile(timeout); });
  if (!dirty_.empty()) dirty_.consume([this](Timeout &timeout) { reconcile(timeout); });
}

void Timeouts::reconcile(Timeout &timeout) noexcept {
  // Only this thread changes the queues, so the room is still there when the lock is held; and it is made outside, as
  // no other thread is to wait until a large array has been copied.
  if (!reserve_one()) return defer(timeout);
  bool removed;
  {
    Lock lock(table_.mutex());
    const std::uint64_t word = load(timeout);
    removed = !is_live(word);
    if (removed)
      leave_queues(timeout);
    else
      enqueue(timeout, word);
    timeout.dirty = false;
    timeout.deferred = false;
  }
  timeout.failed_to_start = false;
  if (removed) to_free_.push(timeout);
}

bool Timeouts::reserve_one() noexcept {
  try {
    heap_.reserve_one();
    if (list_.size() == list_.capacity()) list_.reserve(std::max<std::size_t>(16, 2 * list_.size()));
  } catch (const std::bad_alloc &) {
    return false;
  }
  return true;
}

void Timeouts::enqueue(Timeout &timeout, std::uint64_t word) noexcept {
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

// There was no memory for its place in a queue.
void Timeouts::defer(Timeout &timeout) noexcept {
  {
    Lock lock(table_.mutex());
    timeout.dirty = false;
    timeout.deferred = true;
  }
  deferred_.push(timeout);
  if (timeout.failed_to_start) return;
  timeout.failed_to_start = true;
  context_.counters.failures.increment();
  context_.log.error("timeout {} cannot be started: {}; trying again every {} ms", timeout.slot_id(),
                     ErrnoText(ENOMEM).get(), RetryList<SlotTable<Timeout>>::kIntervalMs);
}

void Timeouts::leave_queues(Timeout &timeout) noexcept {
  heap_.erase(timeout);
  timeout.heap_due = kNever;
  if (timeout.in_list) leave_list(timeout);
}

void Timeouts::leave_list(Timeout &timeout) noexcept {
  Timeout *last = list_.back();
  list_[timeout.list_place] = last;
  last->list_place = timeout.list_place;
  list_.pop_back();
  timeout.in_list = false;
}

// --- The loop's thread: dispatching ---

// Not inlined: a callback that leaves by longjmp leaves this frame on the call stack, which has to lie below those of
// the loop's later calls to be dropped.
[[gnu::noinline]] void Timeouts::call(Timeout &timeout, std::uint64_t word, const Run &run) {
  const int id = id_of(word);
  run.scope.begin_dispatch(&timeout);
  VIRT_UV_PROBE(dispatch_timeout, id, timeout.cb);
  call_back(context_, {"timeout", id}, timeout.stats, run.loop_now_ms, timeout.cb, timeout.opaque);
  VIRT_UV_PROBE(dispatched_timeout);
  run.scope.end_dispatch();
}

void Timeouts::run_due(const Run &run) {
  // Fixed for the whole run: what is put back gets a later deadline, so the run ends.
  const std::uint64_t now_ms = milliseconds_now();
  while (!run.stopped && !heap_.empty() && heap_.first_due() <= now_ms) {
    Timeout &timeout = heap_.first();
    if (take_due(timeout, now_ms)) call(timeout, load(timeout), run);
  }
}

// Moves the timeout to where it is due next. True: it is to be called now.
bool Timeouts::take_due(Timeout &timeout, std::uint64_t now_ms) noexcept {
  Lock lock(table_.mutex());
  const std::uint64_t word = load(timeout);
  if (!is_live(word) || frequency_of(word) <= 0) {
    heap_.erase(timeout);
    timeout.heap_due = kNever;
    return false;
  }
  const bool is_due = timeout.due <= now_ms;
  if (is_due) timeout.due = due_after(frequency_of(word));
  heap_.set(timeout, timeout.due);
  timeout.heap_due = timeout.due;
  return is_due;
}

void Timeouts::run_list(const Run &run) {
  std::size_t place = 0;
  while (!run.stopped && place < list_.size()) {
    Timeout &timeout = *list_[place];
    const std::uint64_t word = load(timeout);
    if (fires_in_every_iteration(word)) call(timeout, word, run);
    if (run.stopped) return;
    if (place >= list_.size() || list_[place] != &timeout) continue;  // an iteration in the callback has moved them
    const bool stays = fires_in_every_iteration(load(timeout)) || !leave_list_unless_wanted(timeout);
    if (stays) ++place;  // else the last one has come to this place
  }
}

// False: another thread has set it to 0 again meanwhile, and found it in the list.
bool Timeouts::leave_list_unless_wanted(Timeout &timeout) noexcept {
  Lock lock(table_.mutex());
  if (fires_in_every_iteration(load(timeout))) return false;
  leave_list(timeout);
  return true;
}

void Timeouts::run_frees() {
  to_free_.consume([this](Timeout &timeout) {
    if (context_.calls.dispatches(&timeout)) return to_free_.push(timeout);
    VIRT_UV_PROBE(free_timeout, timeout.slot_id(), timeout.ff);
    const virFreeCallback ff = timeout.ff;
    void *const opaque = timeout.opaque;
    // All before the call, which may leave by longjmp.
    context_.counters.frees.increment();
    {
      Lock lock(table_.mutex());
      table_.free(timeout);
    }
    if (ff != nullptr) call_guarded(context_, [=] { ff(opaque); });
    VIRT_UV_PROBE(freed_timeout);
  });
}

void Timeouts::disown() noexcept {
  table_.for_each_alone([](Timeout &timeout) { timeout.word.fetch_and(~kLive, std::memory_order_relaxed); });
  dirty_.clear();
  deferred_.clear();
  to_free_.clear();
  heap_ = {};
  list_.clear();
}

}  // namespace virt_uv::core
