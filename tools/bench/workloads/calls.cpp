// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What N worker threads ask of the daemon:
//
//   remote   calls on one connection that they share, with keepalive on, as the threads of one application do
//   connect  a connection opened, registered for events, deregistered and closed
//   quiet    nothing, of a connection registered for events, keepalive off at both ends: how often does the loop wake?
#include "../connection.hpp"
#include "../workers.hpp"
#include "../workload.hpp"

namespace virt_uv::bench {

namespace {

int on_lifecycle(virConnectPtr, virDomainPtr, int, int, void *) { fail("an event came, and nothing had happened"); }

double rate(const Measured &measured) { return measured.done / measured.seconds; }
double cpu_us(const Measured &measured) { return measured.cpu_seconds * 1e6 / measured.done; }

}  // namespace

Results remote(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Connection connection(plan.uri);
  connection.keep_alive();
  Measured measured = measure_workers(*loop, plan.size, plan.seconds, [&](int) -> uint64_t {
    connection.call();
    return 1;
  });
  return {{"calls", rate(measured)}, {"cpu", cpu_us(measured)}, {"wake-ups", measured.iterations / measured.done}};
}

Results connect_close(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Measured measured = measure_workers(*loop, plan.size, plan.seconds, [&](int) -> uint64_t {
    Connection connection(plan.uri);
    connection.register_lifecycle(on_lifecycle, nullptr);
    connection.deregister_lifecycle(on_lifecycle);
    return 1;
  });
  return {{"connections", rate(measured)}, {"cpu", cpu_us(measured)}};
}

Results quiet(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  Connection connection(plan.uri);
  connection.register_lifecycle(on_lifecycle, nullptr);
  return {{"wake-ups", measure_workers(*loop, 0, plan.seconds, nullptr).iterations}};
}

}  // namespace virt_uv::bench
