// SPDX-License-Identifier: LGPL-2.1-or-later
#include "crew.hpp"

#include <sys/resource.h>

#include <thread>
#include <vector>

#include "body.hpp"
#include "eventfd.hpp"
#include "window.hpp"

namespace virt_uv::bench {

namespace {

constexpr double kWarmUpShare = 0.2;

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

void on_end(int, int, int, void *opaque) { static_cast<Loop *>(opaque)->stop(); }

// On a cache line of its own, so that workers do not slow each other down by counting.
struct alignas(64) Count {
  std::atomic<uint64_t> done{0};
};

class Crew {
 public:
  Crew(Loop &loop, int workers, const std::function<uint64_t(int)> &work)
      : loop_(loop), work_(work), counts_(static_cast<size_t>(workers)) {}

  // Thread of its own: the main one runs the loop.
  Measured conduct(double seconds) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < counts_.size(); i++) threads.emplace_back([this, i] { worker(static_cast<int>(i)); });
    sleep_for(seconds * kWarmUpShare);
    Measured start = so_far();
    sleep_for(seconds);
    Measured end = so_far();
    over_.store(true, std::memory_order_relaxed);
    for (std::thread &thread : threads) thread.join();
    return {end.seconds - start.seconds, end.cpu_seconds - start.cpu_seconds, end.done - start.done,
            end.turns - start.turns};
  }

 private:
  void worker(int index) {
    std::atomic<uint64_t> &done = counts_[static_cast<size_t>(index)].done;
    while (!over_.load(std::memory_order_relaxed))
      done.store(done.load(std::memory_order_relaxed) + work_(index), std::memory_order_relaxed);
  }

  Measured so_far() const {
    uint64_t done = 0;
    for (const Count &count : counts_) done += count.done.load(std::memory_order_relaxed);
    return {now(), cpu_seconds(), static_cast<double>(done), static_cast<double>(loop_.turns())};
  }

  Loop &loop_;
  const std::function<uint64_t(int)> &work_;
  std::vector<Count> counts_;
  std::atomic<bool> over_{false};
};

}  // namespace

Measured measure_crew(Loop &loop, int workers, double seconds, const std::function<uint64_t(int)> &work) {
  Eventfd end(false);
  LibvirtApi::Watch watch = LibvirtApi::add_handle(end.fd(), VIR_EVENT_HANDLE_READABLE, on_end, &loop, nullptr);
  Crew crew(loop, workers, work);
  Measured ret;
  std::thread conductor([&] {
    ret = crew.conduct(seconds);
    end.make_ready();
  });
  loop.run();
  conductor.join();
  LibvirtApi::remove_handle(watch);
  return ret;
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval &tv) {
    return static_cast<double>(tv.tv_sec) + static_cast<double>(tv.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace virt_uv::bench
