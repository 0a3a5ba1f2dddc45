// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What is ready all the time: what a callback costs.
//
//   active  N eventfds
//   idle    N timeouts of frequency 0
//   unused  an idle handle of a host's own uv loop, with nothing of libvirt's: with our library attached, and without
//
// The time is taken in the first one's callback, so that whole rounds over all of them are measured.
#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

struct Count {
  Window window;
  uint64_t callbacks = 0;
  uint64_t rounds = 0;   // of the window
  uint64_t warming = 0;  // callbacks before it
};

void count(void *opaque) { static_cast<Count *>(opaque)->callbacks++; }

void count_round(void *opaque) {
  Count *count = static_cast<Count *>(opaque);
  count->callbacks++;
  if (count->window.has_begun())
    count->rounds++;
  else
    count->warming = count->callbacks;
  count->window.iteration(count->callbacks);
}

void on_ready(int, int, int, void *opaque) { count(opaque); }
void on_first_ready(int, int, int, void *opaque) { count_round(opaque); }
void on_timeout(int, void *opaque) { count(opaque); }
void on_first_timeout(int, void *opaque) { count_round(opaque); }
void on_uv_idle(uv_idle_t *idle) { count_round(idle->data); }

}  // namespace

Results active(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) -> Results {
    std::vector<Eventfd> fds = make_eventfds(plan.size, true);
    Count count{Window(loop, plan)};
    for (const Eventfd &fd : fds)
      api.add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, &fd == &fds.front() ? on_first_ready : on_ready, &count,
                     nullptr);
    loop.run();
    require(2 * (count.callbacks - count.warming) >= (count.rounds - 1) * static_cast<uint64_t>(plan.size),
            "the ready eventfds were not all served in each round");
    return {{"callbacks", count.window.rate()}};
  });
}

Results idle(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) -> Results {
    Count count{Window(loop, plan)};
    for (int i = 0; i < plan.size; i++) api.add_idle(i == 0 ? on_first_timeout : on_timeout, &count);
    loop.run();
    return {{"callbacks", count.window.rate()}};
  });
}

Results unused(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Count count{Window(*loop, plan)};
  uv_idle_t idle;
  uv_idle_init(loop->uv(), &idle);
  idle.data = &count;
  uv_idle_start(&idle, on_uv_idle);
  loop->run();
  return {{"iteration", 1e9 / count.window.rate()}};
}

}  // namespace virt_uv::bench
