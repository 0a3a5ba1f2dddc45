// SPDX-License-Identifier: LGPL-2.1-or-later
#include "adapter.hpp"

#include <new>
#include <vector>

#include "callout.hpp"
#include "log.hpp"

namespace virt_uv {

namespace {
alignas(Adapter) char memory[sizeof(Adapter)];
}

Adapter &Adapter::the_adapter = *new (memory) Adapter;

// --- The six ---

// uv_run() may have ended for want of anything registered, and only the loop's thread can change that.
void Adapter::added() noexcept {
  waker_.if_loops_thread([this] { reconciler_->set_alive(); });
  waker_.wake();
}

int Adapter::add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept {
  const int id = watches_.add(fd, events, cb, opaque, ff);
  if (id >= 0) added();
  return id;
}

void Adapter::update_handle(int id, int events) noexcept {
  if (watches_.update(id, events)) waker_.wake();
}

int Adapter::remove_handle(int id) noexcept {
  Watch *watch = watches_.remove(id);
  if (watch == nullptr) return -1;
  // On the loop's thread nothing has taken the watch off the dirty list yet, so it is still there.
  if (waker_.inside())
    reconciler_->polls().release(*watch);
  else
    waker_.if_loops_thread([this, watch] { reconciler_->polls().release_file(*watch); });
  waker_.wake();
  return 0;
}

int Adapter::add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept {
  const int id = timeouts_.add(frequency, cb, opaque, ff);
  if (id >= 0) added();
  return id;
}

void Adapter::update_timeout(int id, int frequency) noexcept {
  if (timeouts_.update(id, frequency)) waker_.wake();
}

int Adapter::remove_timeout(int id) noexcept {
  if (!timeouts_.remove(id)) return -1;
  waker_.wake();
  return 0;
}

// --- Life with a loop ---

bool Adapter::take(State from, State to) noexcept {
  return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
}

int Adapter::attach(uv_loop_t *loop) noexcept {
  if (state_.load(std::memory_order_acquire) == State::kAttached) forget_closed_loop();
  if (!take(State::kDetached, State::kAttaching))
    return state_.load(std::memory_order_acquire) == State::kAttached && loop == loop_.load() ? 0 : UV_EBUSY;

  auto *reconciler = new (std::nothrow) Reconciler(loop, {watches_, timeouts_, waker_, drains_});
  const int err = reconciler != nullptr ? reconciler->open(referenced_) : UV_ENOMEM;
  if (err < 0) {
    delete reconciler;
    state_.store(State::kDetached, std::memory_order_release);
    log::error("cannot attach: {}", uv_strerror(err));
    return err;
  }
  reconciler_ = reconciler;
  loop_.store(loop);
  state_.store(State::kAttached, std::memory_order_release);
  waker_.wake();  // what was made dirty before; and a host that sleeps in a poll of its own has to turn the loop once
  return 0;
}

int Adapter::detach(virt_uv_cb done, void *opaque) noexcept {
  if (state_.load(std::memory_order_acquire) == State::kAttached && forget_closed_loop()) return UV_ECONNABORTED;
  if (!take(State::kAttached, State::kDetaching))
    return state_.load(std::memory_order_acquire) == State::kDetaching ? UV_EALREADY : UV_ENOTCONN;
  loop_.store(nullptr);
  detached_ = done;
  detached_opaque_ = opaque;
  reconciler_->close(on_detached, this);
  return 0;
}

void Adapter::on_detached(void *opaque) {
  Adapter &self = *static_cast<Adapter *>(opaque);
  delete self.reconciler_;
  self.reconciler_ = nullptr;
  log::info("detached");
  log::set_host(nullptr, nullptr);
  const virt_uv_cb done = self.detached_;
  void *done_opaque = self.detached_opaque_;
  self.state_.store(State::kDetached, std::memory_order_release);  // `done` may attach again
  if (done != nullptr) call_guarded([&] { done(done_opaque); });
}

// True: the host had closed our handles, and the loop is given up.
bool Adapter::forget_closed_loop() noexcept {
  if (waker_.has_loop() || !take(State::kAttached, State::kDetaching)) return false;
  log::error("the host has closed virt-uv's handles; that loop is given up");
  loop_.store(nullptr);
  reconciler_->abandon(abandoned_);
  abandoned_ = reconciler_;  // not deleted: libuv may hold its handles still
  reconciler_ = nullptr;
  state_.store(State::kDetached, std::memory_order_release);
  return true;
}

int Adapter::drain(virt_uv_cb idle, void *opaque) noexcept {
  if (state_.load(std::memory_order_acquire) != State::kAttached || !waker_.has_loop()) return UV_ENOTCONN;
  if (const int err = drains_.add(idle, opaque)) {
    log::error("cannot wait for a drain: {}", uv_strerror(err));
    return err;
  }
  reconciler_->set_alive();
  waker_.wake();
  return 0;
}

void Adapter::set_referenced(bool referenced) noexcept {
  referenced_ = referenced;
  if (reconciler_ != nullptr) reconciler_->set_referenced(referenced);
}

uv_loop_t *Adapter::loop() noexcept { return waker_.has_loop() ? loop_.load() : nullptr; }

// --- Looking in ---

bool Adapter::has_timeout(int id, virEventTimeoutCallback cb, const void *opaque) noexcept {
  Lock lock(timeouts_.table.mutex());
  const Timeout *timeout = timeouts_.table.find(id);
  return timeout != nullptr && is(timeout->word.load(std::memory_order_relaxed), id) && timeout->cb == cb &&
         timeout->opaque == opaque;
}

namespace {

virt_uv_entry entry_of(const Tally &tally, int id) noexcept {
  virt_uv_entry entry{};
  entry.size = sizeof entry;
  entry.id = id;
  entry.fd = -1;
  entry.fired = tally.count();
  entry.last_ms = tally.last_ms();
  entry.longest_us = tally.longest_us();
  return entry;
}

// Reports the events that were asked for, as far as they can be told: ERROR and HANGUP come with every mask.
virt_uv_entry entry_of(const Watch &watch, std::uint64_t word) noexcept {
  virt_uv_entry entry = entry_of(watch.tally, id_of(word));
  entry.fd = watch.fd;
  entry.events = wanted_of(word);
  return entry;
}

virt_uv_entry entry_of(const Timeout &timeout, std::uint64_t word) noexcept {
  virt_uv_entry entry = entry_of(timeout.tally, id_of(word));
  entry.is_timeout = 1;
  entry.frequency = frequency_of(word);
  return entry;
}

template <typename Slot>
void append_entries(std::vector<virt_uv_entry> &entries, SlotTable<Slot> &table) {
  Lock lock(table.mutex());
  table.for_each([&](const Slot &slot) {
    const std::uint64_t word = slot.word.load(std::memory_order_acquire);
    if (is_live(word)) entries.push_back(entry_of(slot, word));
  });
}

}  // namespace

std::vector<virt_uv_entry> Adapter::entries() {
  std::vector<virt_uv_entry> entries;
  append_entries(entries, watches_.table);
  append_entries(entries, timeouts_.table);
  return entries;
}

}  // namespace virt_uv
