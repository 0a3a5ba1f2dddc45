// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one adapter of the process: what libvirt wants (watches, timeouts), which outlives every loop, and the
// Reconciler of the loop that is attached, if one is.
#pragma once

#include <atomic>

#include "drains.hpp"
#include "reconciler.hpp"
#include "timeout.hpp"
#include "waker.hpp"
#include "watch.hpp"

namespace virt_uv {

class Adapter {
 public:
  // Never destroyed: libvirt may call for as long as the process lives.
  static Adapter &instance() noexcept { return the_adapter; }

  // --- Any thread: see virt-uv.h for each ---
  int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept;
  void update_handle(int id, int events) noexcept;
  int remove_handle(int id) noexcept;
  int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept;
  void update_timeout(int id, int frequency) noexcept;
  int remove_timeout(int id) noexcept;
  uv_loop_t *loop() noexcept;
  bool is_detaching() const noexcept { return state_.load(std::memory_order_acquire) == State::kDetaching; }

  // Any thread. Is this live timeout that very callback's and opaque's?
  bool has_timeout(int id, virEventTimeoutCallback cb, const void *opaque) noexcept;

  // Any thread. The entries of all that is registered. Throws std::bad_alloc.
  std::vector<virt_uv_entry> entries();

  // --- The loop's thread only ---
  int attach(uv_loop_t *loop) noexcept;
  int detach(virt_uv_cb done, void *opaque) noexcept;
  int drain(virt_uv_cb idle, void *opaque) noexcept;
  void set_referenced(bool referenced) noexcept;

 private:
  enum class State { kDetached, kAttaching, kAttached, kDetaching };

  static Adapter &the_adapter;

  Adapter() = default;

  void added() noexcept;
  bool take(State from, State to) noexcept;
  bool forget_closed_loop() noexcept;
  static void on_detached(void *self);

  Watches watches_;
  Timeouts timeouts_;
  Waker waker_;
  Drains drains_;
  std::atomic<State> state_{State::kDetached};  // whoever moves it to kAttaching or kDetaching owns what follows
  std::atomic<uv_loop_t *> loop_{nullptr};
  Reconciler *reconciler_ = nullptr;  // the loop's thread only
  Reconciler *abandoned_ = nullptr;   // kept in reach, so that leak checkers know of it; the earlier ones are behind it
  bool referenced_ = true;
  virt_uv_cb detached_ = nullptr;
  void *detached_opaque_ = nullptr;
};

}  // namespace virt_uv
