// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N watches have come and gone before the time is taken: does an iteration, with one pair of updates by id in it, cost
// more then? virt-uv alone: it is compared with itself.
#include <optional>

#include "../event_api.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kIdsPerIteration = 100;

struct History {
  Loop &loop;
  const Plan &plan;
  Eventfd other{false};
  std::optional<Window> window{};
  int watch = 0;
  int used = 0;
  uint64_t iterations = 0;
};

void on_never(int, int, int, void *) { fail("a watch fired whose eventfd was never ready"); }

void use_ids(History *history) {
  for (int i = 0; i < kIdsPerIteration; i++)
    LibvirtApi::remove_handle(
        LibvirtApi::add_handle(history->other.fd(), VIR_EVENT_HANDLE_READABLE, on_never, nullptr, nullptr));
  history->used += kIdsPerIteration;
  if (history->used >= history->plan.size) history->window.emplace(history->loop, history->plan);
}

void on_iteration(int, int, int, void *opaque) {
  History *history = static_cast<History *>(opaque);
  if (!history->window) return use_ids(history);
  virEventUpdateHandle(history->watch, 0);
  virEventUpdateHandle(history->watch, VIR_EVENT_HANDLE_READABLE);
  history->window->iteration(++history->iterations);
}

}  // namespace

Results ids(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Eventfd fd(true);
  History history{*loop, plan};
  history.watch = LibvirtApi::add_handle(history.other.fd(), VIR_EVENT_HANDLE_READABLE, on_never, nullptr, nullptr);
  LibvirtApi::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_iteration, &history, nullptr);
  loop->run();
  return {{"iterations", history.window->rate()}};
}

}  // namespace virt_uv::bench
