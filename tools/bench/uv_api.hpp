// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The limit: the same work written straight on libuv for one thread, with one allocation for each watch, that holds
// the uv handle and what libvirt hands over with it. The handle's address stands for the id, so nothing is looked up.
#pragma once

#include <libvirt/libvirt.h>
#include <uv.h>

namespace virt_uv::bench {

struct UvWatch {
  uv_poll_t poll;
  virEventHandleCallback cb;
  virFreeCallback ff;
  void *opaque;
  int fd;
  int id;
};

struct UvTimer {
  uv_timer_t timer;
  virEventTimeoutCallback cb;
  void *opaque;
  int id;
};

struct UvIdle {
  uv_idle_t idle;
  virEventTimeoutCallback cb;
  void *opaque;
  int id;
};

struct UvApi {
  using Watch = UvWatch *;
  using Timer = UvTimer *;

  static Watch add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff);
  static void remove_handle(Watch watch);
  static Timer add_timeout(int ms, virEventTimeoutCallback cb, void *opaque);
  static void update_timeout(Timer timer, int ms);
  static void add_idle(virEventTimeoutCallback cb, void *opaque);
};

}  // namespace virt_uv::bench
