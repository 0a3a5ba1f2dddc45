// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a workload asks of a loop. LibvirtApi is libvirt's public calls, for every loop that is registered with libvirt.
// UvApi has the same members for the limit: the same work straight on libuv for one thread, with one allocation for
// each watch, which holds the uv handle and what libvirt passes along with it. Its address stands for the id, so
// nothing is looked up.
#pragma once

#include <libvirt/libvirt.h>

#include <stdexcept>

#include "loops.hpp"
#include "workload.hpp"

namespace virt_uv::bench {

struct LibvirtApi {
  using Watch = int;
  using Timer = int;

  static Watch add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) {
    return checked(virEventAddHandle(fd, events, cb, opaque, ff), "virEventAddHandle");
  }
  static void remove_handle(Watch watch) { checked(virEventRemoveHandle(watch), "virEventRemoveHandle"); }
  static Timer add_timeout(int ms, virEventTimeoutCallback cb, void *opaque) {
    return checked(virEventAddTimeout(ms, cb, opaque, nullptr), "virEventAddTimeout");
  }
  static void update_timeout(Timer timer, int ms) { virEventUpdateTimeout(timer, ms); }
  // In every iteration of the loop.
  static void add_idle(virEventTimeoutCallback cb, void *opaque) { add_timeout(0, cb, opaque); }

 private:
  static int checked(int ret, const char *call) {
    if (ret < 0) throw std::runtime_error(std::string(call) + " failed");
    return ret;
  }
};

struct UvWatch;
struct UvTimer;

struct UvApi {
  using Watch = UvWatch *;
  using Timer = UvTimer *;

  static Watch add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff);
  static void remove_handle(Watch watch);
  static Timer add_timeout(int ms, virEventTimeoutCallback cb, void *opaque);
  static void update_timeout(Timer timer, int ms);
  static void add_idle(virEventTimeoutCallback cb, void *opaque);
};

// Calls `run(api, loop)`, which is compiled once for libvirt's calls and once for libuv's.
template <class Run>
Results on_any_loop(const Plan &plan, Run run) {
  std::unique_ptr<Loop> loop = make_loop(plan.loop);
  return plan.loop == kPlainUv ? run(UvApi{}, *loop) : run(LibvirtApi{}, *loop);
}

}  // namespace virt_uv::bench
