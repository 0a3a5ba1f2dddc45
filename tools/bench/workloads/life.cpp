// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A watch's whole life: added on a ready eventfd, armed, fired once, in whose callback it is removed, and freed. N live
// at a time; the `ff` of the last adds the next N, so that nothing else keeps the loop busy.
#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

template <class Api>
struct Generation;

template <class Api>
struct Life {
  Generation<Api> *generation;
  Eventfd fd{true};
  typename Api::Watch watch{};
};

template <class Api>
struct Generation {
  Window window;
  std::vector<Life<Api>> lives{};
  uint64_t fired = 0;
  uint64_t freed = 0;

  void begin() {
    for (Life<Api> &life : lives)
      life.watch = Api::add_handle(life.fd.fd(), VIR_EVENT_HANDLE_READABLE, on_ready, &life, on_free);
  }

  static void on_ready(int, int, int, void *opaque) {
    Life<Api> *life = static_cast<Life<Api> *>(opaque);
    life->generation->fired++;
    Api::remove_handle(life->watch);
  }

  static void on_free(void *opaque) {
    Generation *self = static_cast<Life<Api> *>(opaque)->generation;
    if (++self->freed % self->lives.size() == 0 && self->window.iteration(self->freed)) self->begin();
  }
};

}  // namespace

Results life(const Plan &plan) {
  return on_any_loop(plan, [&](auto api, Loop &loop) -> Results {
    Generation<decltype(api)> generation{Window(loop, plan)};
    for (int i = 0; i < plan.size; i++) generation.lives.push_back({&generation});
    generation.begin();
    loop.run();
    require(generation.fired == generation.freed, "a watch did not fire exactly once before it was freed");
    if (plan.iterations > 0) return {{"lives", static_cast<double>(generation.freed)}};
    return {{"lives", generation.window.rate()}};
  });
}

}  // namespace virt_uv::bench
