// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How the body of a workload meets the loop of its process: a body is a struct with a static template function
// `run<Api>(loop, plan)`, compiled once for libvirt's calls and once for libuv's.
#pragma once

#include "libvirt_api.hpp"
#include "loop.hpp"
#include "uv_api.hpp"
#include "workload.hpp"

namespace virt_uv::bench {

template <class Body>
Results run_on_any_loop(const Plan &plan) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  if (plan.loop == kLimit) return Body::template run<UvApi>(*loop, plan);
  return Body::template run<LibvirtApi>(*loop, plan);
}

// For callbacks, which C calls: says what is wrong and ends the process, so that the run counts as failed.
[[noreturn]] void fail(const char *what);

// For what a loop must have done if its figure is to mean anything.
void require(bool held, const char *what);

}  // namespace virt_uv::bench
