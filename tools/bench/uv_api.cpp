// SPDX-License-Identifier: LGPL-2.1-or-later
#include <uv.h>

#include <cstdlib>
#include <new>

#include "event_api.hpp"

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

namespace {

struct UvIdle {
  uv_idle_t idle;
  virEventTimeoutCallback cb;
  void *opaque;
  int id;
};

int next_id = 1;

void check(int err, const char *call) {
  if (err < 0) throw std::runtime_error(std::string(call) + ": " + uv_strerror(err));
}

template <class T>
T *allocate(const T &value) {
  void *memory = malloc(sizeof(T));
  if (!memory) throw std::bad_alloc();
  return new (memory) T(value);
}

int to_uv(int events) {
  return (events & VIR_EVENT_HANDLE_READABLE ? UV_READABLE : 0) |
         (events & VIR_EVENT_HANDLE_WRITABLE ? UV_WRITABLE : 0);
}

int to_libvirt(int events) {
  return (events & UV_READABLE ? VIR_EVENT_HANDLE_READABLE : 0) |
         (events & UV_WRITABLE ? VIR_EVENT_HANDLE_WRITABLE : 0);
}

void on_poll(uv_poll_t *poll, int status, int events) {
  UvWatch *watch = reinterpret_cast<UvWatch *>(poll);
  watch->cb(watch->id, watch->fd, status < 0 ? VIR_EVENT_HANDLE_ERROR : to_libvirt(events), watch->opaque);
}

void on_poll_closed(uv_handle_t *handle) {
  UvWatch *watch = reinterpret_cast<UvWatch *>(handle);
  if (watch->ff) watch->ff(watch->opaque);
  free(watch);
}

void on_timer(uv_timer_t *handle) {
  UvTimer *timer = reinterpret_cast<UvTimer *>(handle);
  timer->cb(timer->id, timer->opaque);
}

void on_idle(uv_idle_t *handle) {
  UvIdle *idle = reinterpret_cast<UvIdle *>(handle);
  idle->cb(idle->id, idle->opaque);
}

}  // namespace

UvWatch *UvApi::add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) {
  UvWatch *watch = allocate<UvWatch>({{}, cb, ff, opaque, fd, next_id++});
  check(uv_poll_init(uv_default_loop(), &watch->poll, fd), "uv_poll_init");
  check(uv_poll_start(&watch->poll, to_uv(events), on_poll), "uv_poll_start");
  return watch;
}

void UvApi::remove_handle(UvWatch *watch) { uv_close(reinterpret_cast<uv_handle_t *>(&watch->poll), on_poll_closed); }

UvTimer *UvApi::add_timeout(int ms, virEventTimeoutCallback cb, void *opaque) {
  UvTimer *timer = allocate<UvTimer>({{}, cb, opaque, next_id++});
  check(uv_timer_init(uv_default_loop(), &timer->timer), "uv_timer_init");
  update_timeout(timer, ms);
  return timer;
}

void UvApi::update_timeout(UvTimer *timer, int ms) {
  check(uv_timer_start(&timer->timer, on_timer, static_cast<uint64_t>(ms), static_cast<uint64_t>(ms)),
        "uv_timer_start");
}

void UvApi::add_idle(virEventTimeoutCallback cb, void *opaque) {
  UvIdle *idle = allocate<UvIdle>({{}, cb, opaque, next_id++});
  check(uv_idle_init(uv_default_loop(), &idle->idle), "uv_idle_init");
  check(uv_idle_start(&idle->idle, on_idle), "uv_idle_start");
}

}  // namespace virt_uv::bench
