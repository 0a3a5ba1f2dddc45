// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A change of a domain, made by another process, and its events' callbacks in this one:
//
//   latency  on N connections, which is one
//   fleet    on N connections: until the last of them has had its callback
//   crowd    on one connection beside N idle ones; after that one worker makes remote calls on it
#include "../connection.hpp"
#include "../event_rounds.hpp"
#include "../workers.hpp"

namespace virt_uv::bench {

Results latency(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Connection> listeners = open_connections(plan.uri, plan.size);
  EventRounds rounds = measure_event_rounds(*loop, listeners, plan);
  return {{"p50", rounds.quantile(0.5)}, {"p99", rounds.quantile(0.99)}, {"cpu-event", rounds.cpu_us_per_event}};
}

Results fleet(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Connection> listeners = open_connections(plan.uri, plan.size);
  EventRounds rounds = measure_event_rounds(*loop, listeners, plan);
  return {{"all-told", rounds.quantile(0.5) / 1000}, {"cpu-event", rounds.cpu_us_per_event}};
}

Results crowd(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  std::vector<Connection> idle = open_connections(plan.uri, plan.size);
  std::vector<Connection> busy = open_connections(plan.uri, 1);
  EventRounds rounds = measure_event_rounds(*loop, busy, plan);
  Measured calls = measure_workers(*loop, 1, plan.seconds, [&](int) -> uint64_t {
    busy.front().call();
    return 1;
  });
  return {{"p50", rounds.quantile(0.5)},
          {"cpu-event", rounds.cpu_us_per_event},
          {"cpu-call", calls.cpu_seconds * 1e6 / calls.done}};
}

}  // namespace virt_uv::bench
