// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loops that are compared, behind the same few calls. A process has one of them, because libvirt has one event loop
// for each process. A workload need not know which one it is: it registers watches and timeouts (event_api.hpp), runs
// the loop, and stops it from a callback.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace virt_uv::bench {

class Loop {
 public:
  Loop() = default;
  Loop(const Loop &) = delete;
  Loop &operator=(const Loop &) = delete;
  virtual ~Loop() = default;

  // Until a callback calls stop().
  virtual void run() = 0;
  virtual void stop() = 0;

  // How often the loop returned from waiting. Any thread.
  uint64_t iterations() const { return iterations_.load(std::memory_order_relaxed); }

  // Does it poll every watch that is registered by now? A loop may take some iterations for that.
  virtual bool polls_all() { return true; }

  // Called in an event's callback: when the event came, for the latency.
  virtual double event_time() const;

  // The uv loop beneath, or NULL.
  virtual uv_loop_t *uv() { return nullptr; }

 protected:
  void count_iteration() { iterations_.store(iterations() + 1, std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> iterations_{0};
};

// How many poll handles of the loop are polled.
size_t active_polls(uv_loop_t *loop);

// A loop whose iterations are called one by one, which is how they are counted.
class SteppedLoop : public Loop {
 public:
  void run() override {
    for (stopped_ = false; !stopped_; count_iteration()) iterate();
  }
  void stop() override { stopped_ = true; }

 private:
  virtual void iterate() = 0;

  bool stopped_ = false;
};

// The limit: the same work straight on libuv.
inline constexpr const char *kPlainUv = "uv";

// The names of the loops that this build can drive.
std::vector<std::string> loop_names();

// Makes the loop and, except for plain libuv, registers it with libvirt.
std::unique_ptr<Loop> make_loop(const std::string &name);

}  // namespace virt_uv::bench
