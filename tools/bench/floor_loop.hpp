// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The floor of an event's latency: a bare epoll loop that does for libvirt what the workloads with events need, and
// nothing else. An event's time is taken when epoll_wait() returns the connection's socket: libvirt has yet to read the
// message, and calls back from a timeout of 0 in the next iteration.
//
// The loop's thread is that of the constructor. Any thread may call; a lock guards the tables, and is not held during a
// callback. A timeout of 0 is due in every iteration, and any other never. An `ff` is called at the end of an
// iteration.
#pragma once

#include <libvirt/libvirt.h>

#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "eventfd.hpp"
#include "loops.hpp"

namespace virt_uv::bench {

class FloorLoop : public SteppedLoop {
 public:
  FloorLoop();  // one for each process
  ~FloorLoop() override;

  double event_time() const override { return ready_at_; }

 private:
  template <class Callback>
  struct Entry {
    int fd;     // of a watch
    int value;  // a watch's events, or a timeout's interval
    Callback cb;
    void *opaque;
    virFreeCallback ff;
  };
  template <class Callback>
  using Entries = std::map<int, Entry<Callback>>;

  static int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff);
  static void update_handle(int id, int events);
  static int remove_handle(int id);
  bool poll(int operation, int id, int fd, int events);  // EPOLL_CTL_ADD, EPOLL_CTL_MOD

  static int add_timeout(int ms, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff);
  static void update_timeout(int id, int ms);
  static int remove_timeout(int id);

  template <class Callback>
  int remove(Entries<Callback> &entries, int id);
  template <class Callback, class... Args>
  void call(const Entries<Callback> &entries, int id, Args... args);

  void wake();

  void iterate() override;
  std::vector<int> due_timeouts();
  bool must_not_sleep();
  void run_frees();

  static FloorLoop *self_;

  const std::thread::id thread_ = std::this_thread::get_id();
  std::mutex mutex_;
  int epoll_;
  Eventfd wake_{false};
  int next_id_ = 1;
  Entries<virEventHandleCallback> watches_;
  Entries<virEventTimeoutCallback> timeouts_;
  std::vector<std::pair<virFreeCallback, void *>> frees_;
  double ready_at_ = 0;
};

}  // namespace virt_uv::bench
