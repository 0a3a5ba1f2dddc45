// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a workload asks of a loop, through libvirt's public calls: the same code for every loop that is registered
// with libvirt. UvApi has the same members for the limit; a workload is a template over the two.
#pragma once

#include <libvirt/libvirt.h>

#include <stdexcept>

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

  // In every turn of the loop.
  static void add_idle(virEventTimeoutCallback cb, void *opaque) { add_timeout(0, cb, opaque); }

 private:
  static int checked(int ret, const char *call) {
    if (ret < 0) throw std::runtime_error(std::string(call) + " failed");
    return ret;
  }
};

}  // namespace virt_uv::bench
