/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An EventImpl that counts the calls and passes them on, unchanged, to another. */
#pragma once

#include <atomic>

#include <virt-uv/event.hpp>

class CountingDecorator final : public virt_uv::EventImpl {
 public:
  explicit CountingDecorator(virt_uv::EventImpl &inner) : inner_(inner) {}

  /* Calls of each of the six; libvirt makes them from any thread. */
  struct {
    std::atomic<int> add_handle{0}, update_handle{0}, remove_handle{0};
    std::atomic<int> add_timeout{0}, update_timeout{0}, remove_timeout{0};
  } calls;

  int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) override {
    ++calls.add_handle;
    return inner_.add_handle(fd, events, cb, opaque, ff);
  }
  void update_handle(int watch, int events) override {
    ++calls.update_handle;
    inner_.update_handle(watch, events);
  }
  int remove_handle(int watch) override {
    ++calls.remove_handle;
    return inner_.remove_handle(watch);
  }
  int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) override {
    ++calls.add_timeout;
    return inner_.add_timeout(frequency, cb, opaque, ff);
  }
  void update_timeout(int timer, int frequency) override {
    ++calls.update_timeout;
    inner_.update_timeout(timer, frequency);
  }
  int remove_timeout(int timer) override {
    ++calls.remove_timeout;
    return inner_.remove_timeout(timer);
  }

 private:
  virt_uv::EventImpl &inner_;
};
