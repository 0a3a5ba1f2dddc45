// SPDX-License-Identifier: LGPL-2.1-or-later
//
// No wake-up is ever lost: on a loop that nothing else would wake, workers flip masks and timers as remote calls do,
// and make the fd ready at a random moment of the flip. Each then waits for its callback, and one that does not come is
// a failure: nothing else would bring it later, so waiting longer could not help.
//
// Any wake-up serves all that is dirty, so one worker's would hide that another's was lost. Hence a worker is alone, or
// those that there are begin each flip together, when all have had their callbacks.
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <climits>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"
#include "scale.hpp"

namespace {

constexpr int kLimitMs = 30000;

// Raised by a callback on the loop's thread, waited for by the worker.
class Reply {
 public:
  bool wait() {
    pollfd readable = {signal_.get(), POLLIN, 0};
    if (poll(&readable, 1, kLimitMs) != 1) return false;
    eventfd_t value;
    return eventfd_read(signal_.get(), &value) == 0;
  }
  void make_readable() { eventfd_write(signal_.get(), 1); }

 private:
  Signal signal_;
};

// Where the workers wait for each other, until one of them ends.
class Start {
 public:
  explicit Start(int workers) : workers_(workers) {}

  // False: one has ended.
  bool wait_for_all() {
    std::unique_lock<std::mutex> lock(mutex_);
    const std::uint64_t this_round = round_;
    if (++waiting_ == workers_) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return ended_ || round_ != this_round; });
    return round_ != this_round;
  }

  void end() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

 private:
  const int workers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  std::uint64_t round_ = 0;
  bool ended_ = false;
};

void spin(unsigned rounds) {
  for (std::atomic<unsigned> i{0}; i < rounds; ++i) continue;
}

// What is watched: an eventfd, or a socket, whose mask the kernel is told of by the worker once an event has come
// unwanted.
class Source {
 public:
  explicit Source(bool is_socket) : is_socket_(is_socket) {}
  int get() const { return is_socket_ ? pair_.ours.get() : signal_.get(); }
  void make_ready() {
    if (is_socket_)
      send(pair_.peer.get(), "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
      eventfd_write(signal_.get(), 1);
  }
  // False: it is not ready.
  bool take() {
    char bytes[64];
    eventfd_t value;
    return is_socket_ ? recv(pair_.ours.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0
                      : eventfd_read(signal_.get(), &value) == 0;
  }

 private:
  const bool is_socket_;
  Signal signal_;
  SocketPair pair_;
};

class Flipper {
 public:
  Flipper(Start &start, unsigned seed) : start_(start), source_(seed % 2 == 0), random_(seed) {
    watch_ = virt_uv_add_handle(source_.get(), 0, on_event, this, nullptr);
    timer_ = virt_uv_add_timeout(-1, on_timeout, this, nullptr);
  }

  // Stops at the first callback that does not come.
  void run(std::uint64_t rounds) {
    while (done_ < rounds && start_.wait_for_all() && flip()) ++done_;
    start_.end();
    virt_uv_remove_handle(watch_);
    virt_uv_remove_timeout(timer_);
  }

  std::uint64_t done() const { return done_; }

 private:
  bool flip() {
    switch (random_() % 8) {
      case 0:
        return come_and_go();
      case 1:
      case 2:
        return flip_timer();
      default:
        return flip_watch();
    }
  }

  // As virNetClientIO does around each remote call: silent, and listening again. The fd becomes ready at any moment.
  bool flip_watch() {
    const unsigned moment = static_cast<unsigned>(random_() % 4);
    const int mask = VIR_EVENT_HANDLE_READABLE | (random_() % 2 != 0 ? VIR_EVENT_HANDLE_ERROR : 0);
    if (moment == 0) make_ready();
    virt_uv_update_handle(watch_, 0);
    if (moment == 1) make_ready();
    virt_uv_update_handle(watch_, mask);
    if (moment == 2) make_ready();
    virt_uv_update_handle(watch_, 0);
    virt_uv_update_handle(watch_, mask);
    if (moment == 3) make_ready();
    return reply_.wait();
  }

  // As virObjectEventState does for each burst of events: from -1 to 0, to fire once.
  bool flip_timer() {
    virt_uv_update_timeout(timer_, random_() % 2 != 0 ? -1 : INT_MAX);  // neither fires by itself
    virt_uv_update_timeout(timer_, 0);
    return reply_.wait();
  }

  // As a connection that is closed: it is the `ff` that is waited for.
  bool come_and_go() {
    if (random_() % 2 != 0)
      virt_uv_remove_timeout(virt_uv_add_timeout(INT_MAX, on_timeout, this, on_gone));
    else
      virt_uv_remove_handle(virt_uv_add_handle(source_.get(), VIR_EVENT_HANDLE_ERROR, on_event, this, on_gone));
    return reply_.wait();
  }

  void make_ready() {
    spin(static_cast<unsigned>(random_() % 64));
    source_.make_ready();
    spin(static_cast<unsigned>(random_() % 64));
  }

  static void on_event(int watch, int, int, void *opaque) {
    Flipper &self = *static_cast<Flipper *>(opaque);
    if (!self.source_.take()) return;
    // Half of the time the callback leaves the watch on, so that the next flip finds it armed.
    if (++self.calls_ % 2 == 0) virt_uv_update_handle(watch, 0);
    self.reply_.make_readable();
  }
  static void on_timeout(int timer, void *opaque) {
    virt_uv_update_timeout(timer, -1);
    on_gone(opaque);
  }
  static void on_gone(void *opaque) { static_cast<Flipper *>(opaque)->reply_.make_readable(); }

  Start &start_;
  Source source_;
  Reply reply_;
  std::mt19937 random_;
  int watch_, timer_;
  unsigned calls_ = 0;  // the loop's thread only
  std::uint64_t done_ = 0;
};

}  // namespace

TEST_CASE("no wake-up is lost when workers flip masks and timers of a loop that nothing else wakes") {
  const int workers = GENERATE(1, 2, 4);
  const unsigned first_seed = GENERATE(1u, 2u);  // an eventfd's first, or a socket's
  const std::uint64_t rounds = scaled(20000);
  Host host;
  Start start(workers);
  std::vector<std::unique_ptr<Flipper>> flippers;
  for (int i = 0; i < workers; ++i)
    flippers.push_back(std::make_unique<Flipper>(start, first_seed + static_cast<unsigned>(i)));
  std::vector<std::thread> threads;
  for (auto &flipper : flippers) threads.emplace_back([&] { flipper->run(rounds); });
  uv_run(host.loop.get(), UV_RUN_DEFAULT);  // returns when all have removed what they had
  for (std::thread &thread : threads) thread.join();
  for (auto &flipper : flippers) CHECK(flipper->done() == rounds);
  CHECK(stats().adds == stats().frees);
  WARN(static_cast<std::uint64_t>(workers) * rounds << " flips by " << workers << " at once");
}
