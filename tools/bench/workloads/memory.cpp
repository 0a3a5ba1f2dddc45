// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What N watches that the loop polls take: of the heap, as malloc counts it, and of resident memory, which has tables
// outside the heap in it, and what is lost to fragments.
#include <malloc.h>

#include <fstream>

#include "../event_api.hpp"
#include "../eventfd.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kIterationsAtOnce = 3;

struct Stopper {
  Loop &loop;
  int iterations = 0;
};

void on_iteration(int, int, int, void *opaque) {
  Stopper *stopper = static_cast<Stopper *>(opaque);
  if (++stopper->iterations % kIterationsAtOnce == 0) stopper->loop.stop();
}

void on_never(int, int, int, void *) { fail("a watch fired whose eventfd was never ready"); }

double heap_in_use() {
  struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

double resident() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == "RssAnon:" && status >> kilobytes) return kilobytes * 1024;
  }
  throw std::runtime_error("/proc/self/status has no RssAnon");
}

}  // namespace

Results memory(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) -> Results {
    Stopper stopper{loop};
    Eventfd busy(true);
    std::vector<Eventfd> fds = make_eventfds(plan.size, false);
    api.add_handle(busy.fd(), VIR_EVENT_HANDLE_READABLE, on_iteration, &stopper, nullptr);
    loop.run();
    double heap_before = heap_in_use();
    double resident_before = resident();
    for (const Eventfd &fd : fds) api.add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_never, nullptr, nullptr);
    do loop.run();
    while (!loop.polls_all());
    return {{"heap", (heap_in_use() - heap_before) / plan.size},
            {"resident", (resident() - resident_before) / plan.size}};
  });
}

}  // namespace virt_uv::bench
