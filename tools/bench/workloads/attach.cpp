// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N watches are registered while no loop is attached. Then a loop is attached, arms them, and is detached again: how
// long does that hold the loop's thread, and another thread that updates, adds and removes watches meanwhile?
//
// virt-uv has a duplicate fd for each watch, so the watches share a few eventfds: N can come near to the limit of open
// files. The loop is run one iteration at a time without waiting, and each is timed by the wall clock, as a wait for a
// lock counts too. Between two of them, outside the times, its active handles are counted: all are armed when there
// are N more. There is one other thread, as there are cores on a small machine: with more of them, one would wait for a
// core. Afterwards a loop is attached once more, and every watch must fire.
#include <virt-uv/virt-uv.h>

#include <algorithm>
#include <random>
#include <thread>

#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kEventfds = 100;

double ms_since(double start) { return (now() - start) * 1e3; }

// Calls `work` and returns the milliseconds that it took.
template <class Work>
double timed_ms(Work work) {
  double start = now();
  work();
  return ms_since(start);
}

void check(int err, const char *call) {
  if (err < 0) throw std::runtime_error(std::string(call) + ": " + uv_strerror(err));
}

class Watches {
 public:
  explicit Watches(size_t count) : watches_(count), fds_(make_eventfds(kEventfds, false)) {
    for (Watch &watch : watches_) {
      watch.owner = this;
      watch.id = LibvirtApi::add_handle(any_fd(), VIR_EVENT_HANDLE_READABLE, on_ready, &watch, on_free);
    }
  }

  size_t count() const { return watches_.size(); }
  size_t freed() const { return freed_; }
  int id(size_t index) const { return watches_[index].id; }
  int any_fd() { return fds_[next_fd_++ % kEventfds].fd(); }

  // Each watch then fires, and removes itself.
  void make_ready() {
    may_fire_ = true;
    for (Eventfd &fd : fds_) fd.make_ready();
  }

 private:
  struct Watch {
    Watches *owner = nullptr;
    int id = 0;
  };

  static void on_ready(int id, int, int, void *opaque) {
    if (!static_cast<Watch *>(opaque)->owner->may_fire_) fail("a watch fired whose eventfd was not ready");
    LibvirtApi::remove_handle(id);
  }
  static void on_free(void *opaque) { static_cast<Watch *>(opaque)->owner->freed_++; }

  std::vector<Watch> watches_;
  std::vector<Eventfd> fds_;
  size_t next_fd_ = 0;
  size_t freed_ = 0;
  bool may_fire_ = false;
};

// The other thread, from the constructor to end().
class Caller {
 public:
  explicit Caller(Watches &watches) : watches_(watches), fd_(watches.any_fd()), thread_([this] { run(); }) {
    while (rounds_ == 0) std::this_thread::yield();
  }
  ~Caller() {
    if (thread_.joinable()) end();
  }

  // The longest call.
  double end() {
    over_ = true;
    thread_.join();
    return longest_ms_;
  }

 private:
  void run() {
    for (std::minstd_rand random(1); !over_; rounds_++) {
      int id = watches_.id(random() % watches_.count());
      call([&] { virEventUpdateHandle(id, 0); });
      call([&] { virEventUpdateHandle(id, VIR_EVENT_HANDLE_READABLE); });
      if (is_free_) add_and_remove();
    }
  }

  // Not again before the `ff`, which has to wait for a loop: else the fds would run out.
  void add_and_remove() {
    is_free_ = false;
    int id = -1;
    call([&] { id = virEventAddHandle(fd_, VIR_EVENT_HANDLE_READABLE, on_ready, this, on_free); });
    if (id < 0) fail("virEventAddHandle failed");
    call([&] { virEventRemoveHandle(id); });
  }

  template <class Call>
  void call(Call call) {
    longest_ms_ = std::max(longest_ms_, timed_ms(call));
  }

  static void on_ready(int, int, int, void *) { fail("a watch fired whose eventfd was not ready"); }
  static void on_free(void *opaque) { static_cast<Caller *>(opaque)->is_free_ = true; }

  Watches &watches_;
  int fd_;
  double longest_ms_ = 0;
  std::atomic<uint64_t> rounds_{0};
  std::atomic<bool> is_free_{true};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

// The host's loop, iteration by iteration.
class Host {
 public:
  explicit Host(uv_loop_t *loop) : loop_(loop) {}

  void attach() { check(virt_uv_attach(loop_, nullptr), "virt_uv_attach"); }
  void detach() {
    is_detached_ = false;
    check(virt_uv_detach([](void *opaque) { static_cast<Host *>(opaque)->is_detached_ = true; }, this),
          "virt_uv_detach");
  }

  void iterate() {
    longest_ms_ = std::max(longest_ms_, timed_ms([&] { uv_run(loop_, UV_RUN_NOWAIT); }));
  }
  template <class Done>
  void run_until(Done done) {
    while (!done()) iterate();
  }
  void run_until_detached() {
    run_until([this] { return is_detached_; });
  }

  double longest_ms() const { return longest_ms_; }

 private:
  uv_loop_t *loop_;
  double longest_ms_ = 0;
  bool is_detached_ = true;
};

}  // namespace

Results attach(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Host before(loop->uv());
  size_t own_polls = active_polls(loop->uv());
  before.detach();
  before.run_until_detached();

  Watches watches(static_cast<size_t>(plan.size));
  Host host(loop->uv());
  Caller caller(watches);
  double start = now();
  double attach_ms = timed_ms([&] { host.attach(); });
  // The caller may have one of them disabled.
  host.run_until([&] { return active_polls(loop->uv()) + 1 >= watches.count() + own_polls; });
  host.iterate();  // libuv passes them to epoll
  double armed_ms = ms_since(start);
  double detach_ms = timed_ms([&] { host.detach(); });
  host.run_until_detached();
  double call_ms = caller.end();

  Host after(loop->uv());
  after.attach();
  watches.make_ready();
  after.run_until([&] { return watches.freed() == watches.count(); });
  return {{"attach", attach_ms},
          {"detach", detach_ms},
          {"iteration", host.longest_ms()},
          {"call", call_ms},
          {"armed", armed_ms}};
}

}  // namespace virt_uv::bench
