// SPDX-License-Identifier: LGPL-2.1-or-later
#include "workers.hpp"

#include <sys/resource.h>

#include <thread>
#include <vector>

#include "event_api.hpp"
#include "eventfd.hpp"
#include "window.hpp"

namespace virt_uv::bench {

namespace {

constexpr double kWarmUpShare = 0.2;

void on_end(int, int, int, void *opaque) { static_cast<Loop *>(opaque)->stop(); }

// On a cache line of its own, so that workers do not slow each other down by counting.
struct alignas(64) Count {
  std::atomic<uint64_t> done{0};
};

// On a thread that is not the loop's.
Measured measure(const Loop &loop, int workers, double seconds, const std::function<uint64_t(int)> &work) {
  std::vector<Count> counts(static_cast<size_t>(workers));
  std::atomic<bool> over{false};
  auto worker = [&](int index, std::atomic<uint64_t> &done) {
    while (!over.load(std::memory_order_relaxed))
      done.store(done.load(std::memory_order_relaxed) + work(index), std::memory_order_relaxed);
  };
  auto so_far = [&]() -> Measured {
    uint64_t done = 0;
    for (const Count &count : counts) done += count.done.load(std::memory_order_relaxed);
    return {now(), cpu_seconds(), static_cast<double>(done), static_cast<double>(loop.iterations())};
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < workers; i++) threads.emplace_back(worker, i, std::ref(counts[static_cast<size_t>(i)].done));
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds * kWarmUpShare));
  Measured start = so_far();
  Measured end;
  do {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    end = so_far();
  } while (workers > 0 && end.done == start.done);  // a short run on a busy machine
  over.store(true, std::memory_order_relaxed);
  for (std::thread &thread : threads) thread.join();
  return {end.seconds - start.seconds, end.cpu_seconds - start.cpu_seconds, end.done - start.done,
          end.iterations - start.iterations};
}

}  // namespace

Measured measure_workers(Loop &loop, int workers, double seconds, const std::function<uint64_t(int)> &work) {
  Eventfd end(false);
  LibvirtApi::Watch watch = LibvirtApi::add_handle(end.fd(), VIR_EVENT_HANDLE_READABLE, on_end, &loop, nullptr);
  Measured ret;
  std::thread measurer([&] {
    ret = measure(loop, workers, seconds, work);
    end.make_ready();
  });
  loop.run();
  measurer.join();
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
