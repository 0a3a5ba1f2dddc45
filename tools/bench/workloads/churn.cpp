// SPDX-License-Identifier: LGPL-2.1-or-later
//
// In each turn N watches are added and removed again, each on an eventfd of its own, and their `ff` run before
// the next. A pair counts when its `ff` has run. libvirt-glib has no figure: it frees from a GLib idle source, which
// does not run as long as a watch is ready. counted-churn does it for a fixed number of turns, for strace.
#include "../body.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kCountedTurns = 200;
// Whatever the size, so that counted-churn's calls differ by those of the pairs alone.
constexpr int kEventfds = 100;

void on_never(int, int, int, void *) { fail("a watch fired that had been removed before the loop turned"); }
void count_free(void *opaque) { ++*static_cast<uint64_t *>(opaque); }

template <class Api>
struct Churner {
  std::vector<Eventfd> fds;
  std::vector<typename Api::Watch> watches;
  uint64_t added = 0;
  uint64_t freed = 0;

  explicit Churner(int size) : fds(make_eventfds(kEventfds, false)), watches(static_cast<size_t>(size)) {}

  void turn() {
    for (size_t i = 0; i < watches.size(); i++)
      watches[i] = Api::add_handle(fds[i].fd(), VIR_EVENT_HANDLE_READABLE, on_never, &freed, count_free);
    for (typename Api::Watch watch : watches) Api::remove_handle(watch);
    added += watches.size();
  }
};

template <class Api>
struct Timed {
  Churner<Api> churner;
  Window window;

  static void on_turn(int, int, int, void *opaque) {
    Timed *self = static_cast<Timed *>(opaque);
    self->window.turn(self->churner.freed);
    self->churner.turn();
  }
};

struct Churn {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    Eventfd fd(true);
    Timed<Api> timed{Churner<Api>(plan.size), Window(loop, plan.seconds)};
    Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, Timed<Api>::on_turn, &timed, nullptr);
    loop.run();
    require(timed.churner.freed + 3 * static_cast<uint64_t>(plan.size) >= timed.churner.added,
            "frees fell behind removes");
    return {{"pairs", timed.window.rate()}};
  }
};

template <class Api>
struct Counted {
  Churner<Api> churner;
  Loop &loop;
  int turns = 0;

  static void on_turn(int, int, int, void *opaque) {
    Counted *self = static_cast<Counted *>(opaque);
    if (self->turns++ == kCountedTurns) return self->loop.stop();
    self->churner.turn();
  }
};

struct CountedChurn {
  template <class Api>
  static Results run(Loop &loop, const Plan &plan) {
    Eventfd fd(true);
    Counted<Api> counted{Churner<Api>(plan.size), loop};
    Api::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, Counted<Api>::on_turn, &counted, nullptr);
    loop.run();
    return {{"pairs", static_cast<double>(counted.churner.added)}};
  }
};

}  // namespace

const Workload kChurn = {
    "churn",
    "N watches added, then removed, in every turn, their ff included",
    {100},
    {{"pairs", "1/s", Better::kHigher}},
    {{100, "pairs", 2, 3}},
    {kDefault, kPython, kOurs, kLimit},
    run_on_any_loop<Churn>,
};

const Workload kCountedChurn = {
    "counted-churn",
    "churn, for a fixed number of turns",
    {0, 100},
    {},
    {},
    {kDefault, kGlib, kOurs, kLimit},
    run_on_any_loop<CountedChurn>,
};

}  // namespace virt_uv::bench
