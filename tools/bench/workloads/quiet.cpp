// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A connection registered for events, on which nothing happens, keepalive off at both ends: how often does the loop
// wake in a minute? The timeout that begins the minute and the one that ends it are the same, so one of its own
// wake-ups is in the count, and taken off.
#include "../body.hpp"
#include "../connection.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr int kSettleMs = 200;

struct Minute {
  Loop &loop;
  int length_ms;
  bool begun = false;
  uint64_t turns = 0;
};

int on_lifecycle(virConnectPtr, virDomainPtr, int, int, void *) { fail("an event came, and nothing had happened"); }

void on_timeout(int timer, void *opaque) {
  Minute *minute = static_cast<Minute *>(opaque);
  if (minute->begun) {
    minute->turns = minute->loop.turns() - minute->turns - 1;
    return minute->loop.stop();
  }
  minute->begun = true;
  minute->turns = minute->loop.turns();
  virEventUpdateTimeout(timer, minute->length_ms);
}

Results run(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Connection connection(plan.uri);
  connection.on_lifecycle(on_lifecycle, nullptr);
  Minute minute{*loop, static_cast<int>(plan.seconds * 1000)};
  LibvirtApi::add_timeout(kSettleMs, on_timeout, &minute);
  loop->run();
  return {{"wake-ups", static_cast<double>(minute.turns)}};
}

}  // namespace

const Workload kQuiet = [] {
  Workload ret = {
      "quiet", "wake-ups in a minute of an idle connection, real libvirtd, keepalive off",
      {1},     {{"wake-ups", "1/min", Better::kLower}},
      {},      {kDefault, kGlib, kOurs},
      run,
  };
  ret.needs_daemon = true;
  ret.fixed_seconds = 60;
  return ret;
}();

}  // namespace virt_uv::bench
