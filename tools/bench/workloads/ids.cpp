// SPDX-License-Identifier: LGPL-2.1-or-later
//
// N watches have come and gone before the time is taken: does a turn, with one pair of updates by id in it, cost more
// then? Ours alone: it is compared with itself.
#include <optional>

#include "../body.hpp"
#include "../eventfd.hpp"
#include "../window.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kPairsPerTurn = 100;

struct History {
  Loop &loop;
  const Plan &plan;
  Eventfd other{false};
  std::optional<Window> window{};
  int watch = 0;
  int used = 0;
  uint64_t turns = 0;
};

void on_never(int, int, int, void *) { fail("a watch fired whose eventfd was never ready"); }

void use_ids(History *history) {
  for (int i = 0; i < kPairsPerTurn; i++)
    LibvirtApi::remove_handle(
        LibvirtApi::add_handle(history->other.fd(), VIR_EVENT_HANDLE_READABLE, on_never, nullptr, nullptr));
  history->used += kPairsPerTurn;
  if (history->used >= history->plan.size) history->window.emplace(history->loop, history->plan.seconds);
}

void on_turn(int, int, int, void *opaque) {
  History *history = static_cast<History *>(opaque);
  if (!history->window) return use_ids(history);
  virEventUpdateHandle(history->watch, 0);
  virEventUpdateHandle(history->watch, VIR_EVENT_HANDLE_READABLE);
  history->window->turn(++history->turns);
}

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Eventfd fd(true);
  History history{*loop, plan};
  history.watch = LibvirtApi::add_handle(history.other.fd(), VIR_EVENT_HANDLE_READABLE, on_never, nullptr, nullptr);
  LibvirtApi::add_handle(fd.fd(), VIR_EVENT_HANDLE_READABLE, on_turn, &history, nullptr);
  loop->run();
  return {{"turns", history.window->rate()}};
}

}  // namespace

const Workload kIds = {
    "ids", "turns, after N ids have been used", {100, 1000000}, {{"turns", "1/s", Better::kHigher}}, {}, {kOurs}, run,
};

}  // namespace virt_uv::bench
