// SPDX-License-Identifier: LGPL-2.1-or-later
#include "floor_loop.hpp"

#include <sys/epoll.h>

#include <array>

#include "window.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kWake = 0;  // no watch has this id
constexpr int kEventsAtOnce = 64;

unsigned to_epoll(int events) {
  return (events & VIR_EVENT_HANDLE_READABLE ? EPOLLIN : 0U) | (events & VIR_EVENT_HANDLE_WRITABLE ? EPOLLOUT : 0U);
}

int to_libvirt(unsigned events) {
  return (events & EPOLLIN ? VIR_EVENT_HANDLE_READABLE : 0) | (events & EPOLLOUT ? VIR_EVENT_HANDLE_WRITABLE : 0) |
         (events & EPOLLERR ? VIR_EVENT_HANDLE_ERROR : 0) | (events & EPOLLHUP ? VIR_EVENT_HANDLE_HANGUP : 0);
}

}  // namespace

FloorLoop *FloorLoop::self_;

FloorLoop::FloorLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0 || !poll(EPOLL_CTL_ADD, kWake, wake_.fd(), VIR_EVENT_HANDLE_READABLE))
    throw std::system_error(errno, std::generic_category(), "epoll");
  self_ = this;
  virEventRegisterImpl(add_handle, update_handle, remove_handle, add_timeout, update_timeout, remove_timeout);
}

FloorLoop::~FloorLoop() { close(epoll_); }

// --- libvirt's six functions ---

int FloorLoop::add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) {
  std::lock_guard lock(self_->mutex_);
  int id = self_->next_id_++;
  if (!self_->poll(EPOLL_CTL_ADD, id, fd, events)) return -1;
  self_->watches_[id] = {fd, events, cb, opaque, ff};
  return id;
}

void FloorLoop::update_handle(int id, int events) {
  std::lock_guard lock(self_->mutex_);
  auto found = self_->watches_.find(id);
  if (found != self_->watches_.end()) self_->poll(EPOLL_CTL_MOD, id, found->second.fd, events);
}

int FloorLoop::remove_handle(int id) {
  std::lock_guard lock(self_->mutex_);
  auto found = self_->watches_.find(id);
  if (found != self_->watches_.end()) epoll_ctl(self_->epoll_, EPOLL_CTL_DEL, found->second.fd, nullptr);
  return self_->remove(self_->watches_, id);
}

int FloorLoop::add_timeout(int ms, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) {
  std::lock_guard lock(self_->mutex_);
  int id = self_->next_id_++;
  self_->timeouts_[id] = {-1, ms, cb, opaque, ff};
  self_->wake();
  return id;
}

void FloorLoop::update_timeout(int id, int ms) {
  std::lock_guard lock(self_->mutex_);
  auto found = self_->timeouts_.find(id);
  if (found == self_->timeouts_.end()) return;
  found->second.value = ms;
  self_->wake();
}

int FloorLoop::remove_timeout(int id) {
  std::lock_guard lock(self_->mutex_);
  return self_->remove(self_->timeouts_, id);
}

bool FloorLoop::poll(int operation, int id, int fd, int events) {
  epoll_event event{};
  event.events = to_epoll(events);
  event.data.fd = id;
  return epoll_ctl(epoll_, operation, fd, &event) == 0;
}

template <class Callback>
int FloorLoop::remove(Entries<Callback> &entries, int id) {
  auto found = entries.find(id);
  if (found == entries.end()) return -1;
  if (found->second.ff) frees_.emplace_back(found->second.ff, found->second.opaque);
  entries.erase(found);
  wake();
  return 0;
}

void FloorLoop::wake() {
  if (std::this_thread::get_id() != thread_) wake_.make_ready();
}

// --- An iteration ---

template <class Callback, class... Args>
void FloorLoop::call(const Entries<Callback> &entries, int id, Args... args) {
  std::unique_lock lock(mutex_);
  auto found = entries.find(id);
  if (found == entries.end()) return;
  auto [fd, value, cb, opaque, ff] = found->second;
  lock.unlock();
  if constexpr (sizeof...(args) > 0)
    cb(id, fd, args..., opaque);
  else
    cb(id, opaque);
}

void FloorLoop::iterate() {
  std::array<epoll_event, kEventsAtOnce> events;
  int count = epoll_wait(epoll_, events.data(), kEventsAtOnce, must_not_sleep() ? 0 : -1);
  double returned_at = now();
  for (int i = 0; i < count; i++) {
    const epoll_event &event = events[static_cast<size_t>(i)];
    if (event.data.fd == kWake) {
      eventfd_t ignored;
      eventfd_read(wake_.fd(), &ignored);
    } else {
      ready_at_ = returned_at;
      call(watches_, event.data.fd, to_libvirt(event.events));
    }
  }
  for (int id : due_timeouts()) call(timeouts_, id);
  run_frees();
}

std::vector<int> FloorLoop::due_timeouts() {
  std::lock_guard lock(mutex_);
  std::vector<int> ret;
  for (const auto &[id, timeout] : timeouts_)
    if (timeout.value == 0) ret.push_back(id);
  return ret;
}

bool FloorLoop::must_not_sleep() { return !due_timeouts().empty(); }

void FloorLoop::run_frees() {
  std::unique_lock lock(mutex_);
  auto frees = std::exchange(frees_, {});
  lock.unlock();
  for (auto [ff, opaque] : frees) ff(opaque);
}

}  // namespace virt_uv::bench
