// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What N watches that the loop polls take: of the heap, as malloc counts it, and of resident memory, which has tables
// outside the heap in it, and what is lost to fragments.
#include <malloc.h>

#include <fstream>

#include "../body.hpp"
#include "../eventfd.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kTurnsToSettle = 3;

struct Settle {
  Loop &loop;
  int turns = 0;
};

void on_turn(int, int, int, void *opaque) {
  Settle *settle = static_cast<Settle *>(opaque);
  if (++settle->turns % kTurnsToSettle == 0) settle->loop.stop();
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

struct Memory {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    Settle settle{loop};
    Eventfd busy(true);
    std::vector<Eventfd> fds = make_eventfds(plan.size, false);
    Api::add_handle(busy.fd(), VIR_EVENT_HANDLE_READABLE, on_turn, &settle, nullptr);
    loop.run();
    double heap_before = heap_in_use();
    double resident_before = resident();
    for (const Eventfd &fd : fds) Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_never, nullptr, nullptr);
    loop.run();
    return {{"heap", (heap_in_use() - heap_before) / plan.size},
            {"resident", (resident() - resident_before) / plan.size}};
  }
};

}  // namespace

const Workload kMemory = {
    "memory",
    "memory for each of N watches",
    {8000},
    {{"heap", "bytes", Better::kLower}, {"resident", "bytes", Better::kLower}},
    {{8000, "heap", 0.75, 1.1}, {8000, "resident", 0.75, 1.1}},
    {kDefault, kGlib, kOurs, kLimit},
    run_on_any_loop<Memory>,
};

}  // namespace virt_uv::bench
