/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt's event loop on poll(2): a whole EventImpl that owes nothing to libuv.
 *
 * What is wanted stands in two tables under one mutex; any thread may change them, and ends the wait through an
 * eventfd. An iteration notes what to wait for, waits with no lock, and asks the tables again before each call: so what
 * was removed or changed in between is judged as it is now, and what was added in between waits for the next iteration.
 * Frees run last, when no callback is on the stack. */
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <virt-uv/event.hpp>

class PollEventImpl final : public virt_uv::EventImpl {
 public:
  PollEventImpl() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~PollEventImpl() override { close(wake_fd_); }

  int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) override {
    return cb == nullptr ? -1 : add(watches_, {events, fd, {}, cb, nullptr, opaque, ff});
  }
  int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) override {
    return cb == nullptr ? -1 : add(timers_, {frequency, -1, due_after(frequency), nullptr, cb, opaque, ff});
  }
  void update_handle(int watch, int events) override { update(watches_, watch, events); }
  void update_timeout(int timer, int frequency) override { update(timers_, timer, frequency); }
  int remove_handle(int watch) override { return remove(watches_, watch); }
  int remove_timeout(int timer) override { return remove(timers_, timer); }

  /* One iteration, on the loop's thread. It waits for an event or another thread's change, but at most `limit_ms`. */
  void run_once(int limit_ms) {
    std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
    std::vector<int> watches, timers;
    const int wait_ms = prepare(fds, watches, timers, limit_ms);
    poll(fds.data(), fds.size(), wait_ms);
    waiting_ = false;
    eventfd_t ignored;
    eventfd_read(wake_fd_, &ignored);
    for (const int timer : timers) fire(timer, Clock::now());
    for (std::size_t i = 0; i < watches.size(); ++i) dispatch(watches[i], fds[i + 1].revents);
    free_removed();
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Event = std::pair<int, int>; /* poll's bit, libvirt's bit */
  static constexpr Event kEvents[] = {{POLLIN, VIR_EVENT_HANDLE_READABLE},
                                      {POLLOUT, VIR_EVENT_HANDLE_WRITABLE},
                                      {POLLERR, VIR_EVENT_HANDLE_ERROR},
                                      {POLLHUP, VIR_EVENT_HANDLE_HANGUP}};
  struct Entry {
    int wanted, fd;        /* a watch's events or a timeout's frequency; a watch's fd */
    Clock::time_point due; /* a timeout's */
    virEventHandleCallback on_ready;
    virEventTimeoutCallback on_due;
    void *opaque;
    virFreeCallback ff;
  };
  struct Table {
    std::map<int, Entry> live;
    int last_id = 0;
  };
  static int translate(int bits, int Event::*from, int Event::*to) {
    int translated = 0;
    for (const Event &event : kEvents) translated |= bits & event.*from ? event.*to : 0;
    return translated;
  }
  static Clock::time_point due_after(int frequency) { return Clock::now() + std::chrono::milliseconds(frequency); }
  int add(Table &table, const Entry &entry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    table.live.emplace(++table.last_id, entry);
    if (waiting_) eventfd_write(wake_fd_, 1);
    return table.last_id;
  }
  template <typename Use>
  int with(Table &table, int id, Use &&use) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = table.live.find(id);
    if (found == table.live.end()) return -1;
    use(found->second);
    if (waiting_) eventfd_write(wake_fd_, 1);
    return 0;
  }
  void update(Table &table, int id, int wanted) {
    with(table, id, [&](Entry &entry) { entry.wanted = wanted, entry.due = due_after(wanted); });
  }
  int remove(Table &table, int id) {
    return with(table, id, [&](Entry &entry) {
      removed_.emplace_back(entry.ff, entry.opaque);
      table.live.erase(id);
    });
  }
  int prepare(std::vector<pollfd> &fds, std::vector<int> &watches, std::vector<int> &timers, int limit_ms) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto &[id, watch] : watches_.live) {
      if (watch.wanted == 0) continue;
      watches.push_back(id);
      fds.push_back({watch.fd, static_cast<short>(translate(watch.wanted, &Event::second, &Event::first)), 0});
    }
    Clock::time_point until = due_after(removed_.empty() ? limit_ms : 0);
    for (const auto &[id, timer] : timers_.live) {
      if (timer.wanted < 0) continue;
      timers.push_back(id);
      until = std::min(until, timer.due);
    }
    waiting_ = true;
    return std::max(0, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count()));
  }
  void fire(int id, Clock::time_point now) {
    Entry timer{};
    with(timers_, id, [&](Entry &entry) {
      if (entry.wanted < 0 || entry.due > now) return;
      entry.due = now + std::chrono::milliseconds(entry.wanted);
      timer = entry;
    });
    run_timeout_callback(id, timer.on_due, timer.opaque);
  }
  void dispatch(int id, int revents) {
    Entry watch{};
    if (revents & POLLNVAL) update_handle(id, 0); /* not open: as silent as libvirt's loop, which spins on it, though */
    with(watches_, id, [&](Entry &entry) { watch = entry; });
    const int wanted = watch.wanted == 0 ? 0 : watch.wanted | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP;
    const int ready = translate(revents, &Event::first, &Event::second) & wanted;
    if (ready != 0) run_handle_callback(id, watch.fd, ready, watch.on_ready, watch.opaque);
  }
  void free_removed() {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto removed = std::exchange(removed_, {});
    lock.unlock();
    for (const auto &[ff, opaque] : removed) free_callback_opaque(ff, opaque);
  }
  const int wake_fd_;
  std::mutex mutex_;
  Table watches_, timers_;
  std::vector<std::pair<virFreeCallback, void *>> removed_;
  std::atomic<bool> waiting_{false}; /* or about to: a change has to end it */
};
