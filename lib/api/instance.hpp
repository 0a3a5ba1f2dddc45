// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one instance of the process: what libvirt wants (watches, timeouts), which outlives every loop, and the
// Reconciler of the loop that is attached, if one is.
#pragma once

#include <atomic>

#include "core/context.hpp"
#include "core/drains.hpp"
#include "core/timeouts.hpp"
#include "core/watches.hpp"
#include "loop/kernel_mask.hpp"
#include "loop/reconciler.hpp"
#include "loop/waker.hpp"

namespace virt_uv::api {

class Instance {
 public:
  // Never destroyed: libvirt may call for as long as the process lives.
  static Instance &get() noexcept { return the_instance; }

  // --- Any thread: see virt-uv.h for each ---
  int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept;
  void update_handle(int id, int events) noexcept;
  int remove_handle(int id) noexcept;
  int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept;
  void update_timeout(int id, int frequency) noexcept;
  int remove_timeout(int id) noexcept;
  uv_loop_t *loop() noexcept;

  core::Context &context() noexcept { return context_; }
  core::Watches &watches() noexcept { return watches_; }
  core::Timeouts &timeouts() noexcept { return timeouts_; }

  // --- The loop's thread only ---
  int attach(uv_loop_t *loop, const virt_uv_options &options) noexcept;
  int detach(virt_uv_cb done, void *opaque) noexcept;
  int drain(virt_uv_cb idle, void *opaque) noexcept;
  void set_referenced(bool referenced) noexcept;
  int take_loop() noexcept;

  // --- Around fork(): see fork.hpp ---
  void lock_all() noexcept VIRT_UV_UNCHECKED_LOCKING;
  void unlock_all() noexcept VIRT_UV_UNCHECKED_LOCKING;
  // In the child: can it begin anew?
  bool begin_anew() noexcept;

 private:
  enum class State { kDetached, kAttaching, kAttached, kDetaching };

  static Instance &the_instance;

  Instance() = default;

  void added() noexcept;
  bool move(State from, State to) noexcept;
  State state() const noexcept { return state_.load(std::memory_order_acquire); }
  bool is_attached_here(uv_loop_t *loop) noexcept;
  int open(uv_loop_t *loop) noexcept;
  void take_over(const virt_uv_options &options) noexcept;
  int refuse_busy() noexcept;
  bool is_wrong_thread(const char *call) noexcept;
  static void on_closed(void *opaque);
  static void on_lost(void *opaque);

  core::Context context_;
  core::Watches watches_{context_};
  core::Timeouts timeouts_{context_};
  core::Drains drains_{context_};
  loop::KernelMask kernel_mask_;
  loop::Waker waker_{context_};
  std::atomic<State> state_{
      State::kDetached};  // the thread that moves it to kAttaching or kDetaching owns what follows
  std::atomic<uv_loop_t *> loop_{nullptr};
  // The loop's thread only.
  loop::Reconciler *reconciler_ = nullptr;
  loop::Reconciler *abandoned_ = nullptr;  // kept in reach; the earlier ones are behind it
  bool was_lost_ = false;                  // and virt_uv_detach has not said so yet
  bool referenced_ = true;
  virt_uv_cb detached_ = nullptr;
  void *detached_opaque_ = nullptr;
};

}  // namespace virt_uv::api
