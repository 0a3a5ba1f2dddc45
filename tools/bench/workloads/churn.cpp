// SPDX-License-Identifier: LGPL-2.1-or-later
//
// In each iteration N watches are added and removed again, each on an eventfd of its own, and their `ff` run before the
// next. A pair counts when its `ff` has run. libvirt-glib has no rate: it frees from a GLib idle source, which does not
// run as long as a watch is ready.
#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

// Whatever the size, so that the system calls of a run of no pairs differ by those of the pairs alone.
constexpr int kEventfds = 100;

void on_never(int, int, int, void *) { fail("a watch fired that had been removed before the loop's next iteration"); }
void count_free(void *opaque) { ++*static_cast<uint64_t *>(opaque); }

template <class Api>
struct Churner {
  Window window;
  std::vector<Eventfd> fds = make_eventfds(kEventfds, false);
  std::vector<typename Api::Watch> watches{};
  uint64_t added = 0;
  uint64_t freed = 0;

  void add_and_remove() {
    for (size_t i = 0; i < watches.size(); i++)
      watches[i] = Api::add_handle(fds[i].fd(), VIR_EVENT_HANDLE_READABLE, on_never, &freed, count_free);
    for (typename Api::Watch watch : watches) Api::remove_handle(watch);
    added += watches.size();
  }

  static void on_iteration(int, int, int, void *opaque) {
    Churner *self = static_cast<Churner *>(opaque);
    if (self->window.iteration(self->freed)) self->add_and_remove();
  }
};

}  // namespace

Results churn(const Plan &plan) {
  require(plan.size <= kEventfds, "churn has no more than 100 eventfds");
  return on_any_loop(plan, [&](auto api, Loop &loop) -> Results {
    using Api = decltype(api);
    Eventfd fd(true);
    Churner<Api> churner{Window(loop, plan)};
    churner.watches.resize(static_cast<size_t>(plan.size));
    api.add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, Churner<Api>::on_iteration, &churner, nullptr);
    loop.run();
    if (plan.iterations > 0) return {{"pairs", static_cast<double>(churner.added)}};
    require(churner.freed + 3 * static_cast<uint64_t>(plan.size) >= churner.added, "frees fell behind removes");
    return {{"pairs", churner.window.rate()}};
  });
}

}  // namespace virt_uv::bench
