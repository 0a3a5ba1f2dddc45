// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reconciler.hpp"

#include <algorithm>

#include "callout.hpp"
#include "counters.hpp"

namespace virt_uv {
namespace {

template <typename Handle>
uv_handle_t *base(Handle &handle) noexcept {
  return reinterpret_cast<uv_handle_t *>(&handle);
}

template <typename Handle>
Reconciler &self_of(Handle *handle) noexcept {
  return *static_cast<Reconciler *>(handle->data);
}

}  // namespace

Reconciler::Reconciler(uv_loop_t *loop, const Parts &parts) noexcept
    : loop_(loop),
      watches_(parts.watches),
      timeouts_(parts.timeouts),
      waker_(parts.waker),
      drains_(parts.drains),
      polls_(loop, parts.watches, parts.waker, handles_) {}

// --- Life ---

template <typename Handle, typename Init, typename... Args>
int Reconciler::init(Handle &handle, Init init, Args... args) noexcept {
  const int err = init(loop_, &handle, args...);
  if (err < 0) return err;
  handle.data = this;
  uv_unref(base(handle));
  handles_.opened();
  return 0;
}

int Reconciler::open(bool referenced) noexcept {
  if (const int err = polls_.open()) return err;
  if (const int err = wake_fd_.open()) return err;
  if (const int err = init(wake_poll_, uv_poll_init, wake_fd_.get())) return err;
  // These four can't fail.
  init(prepare_, uv_prepare_init);
  init(check_, uv_check_init);
  init(idle_, uv_idle_init);
  init(timer_, uv_timer_init);
  uv_poll_start(&wake_poll_, UV_READABLE, on_wake);
  uv_prepare_start(&prepare_, on_prepare);
  // Alive at first, so that uv_run() comes to the first prepare, which finds out.
  uv_ref(base(prepare_));
  referenced_ = referenced;
  waker_.open(&wake_fd_, &check_, on_check);
  return 0;
}

void Reconciler::close(virt_uv_cb closed, void *opaque) noexcept {
  // What was removed so far is freed before `closed`, also what had been put off.
  polls_.retry();
  timeouts_.retry();
  reconcile();
  closing_ = true;
  closed_ = closed;
  closed_opaque_ = opaque;
  waker_.close();
  polls_.give_up(true);
  handles_.when_none_left(on_none_left, this);
  for (uv_handle_t *handle : {base(wake_poll_), base(prepare_), base(check_), base(idle_), base(timer_)})
    uv_close(handle, on_closed);
}

void Reconciler::on_closed(uv_handle_t *handle) { self_of(handle).handles_.closed(); }

void Reconciler::on_none_left(void *opaque) {
  Reconciler &self = *static_cast<Reconciler *>(opaque);
  self.run_frees();
  self.closed_(self.closed_opaque_);
}

void Reconciler::abandon(Reconciler *earlier) noexcept {
  abandoned_before_ = earlier;
  closing_ = true;
  waker_.close();
  polls_.give_up(false);
  wake_fd_.close();
}

// --- Phases ---

void Reconciler::on_timer(uv_timer_t *timer) {
  Reconciler &self = self_of(timer);
  self.waker_.find_thread();
  self.waker_.enter();
  self.timer_due_ = kNever;
  if (self.polls_.retry_due() <= milliseconds(uv_hrtime())) self.polls_.retry();
  self.timeouts_.run_due(uv_now(self.loop_), self.closing_);
  self.reconcile();  // in libuv 1.45 and later no prepare need follow before the host sleeps
  self.waker_.leave();
}

void Reconciler::on_idle(uv_idle_t *idle) {
  Reconciler &self = self_of(idle);
  self.waker_.find_thread();
  self.waker_.enter();
  self.timeouts_.run_list(uv_now(self.loop_), self.closing_);
  if (!self.closing_ && !self.timeouts_.has_list()) self.waker_.remind();  // the idle handle is to stop
  self.waker_.leave();
}

void Reconciler::on_prepare(uv_prepare_t *prepare) {
  Reconciler &self = self_of(prepare);
  self.waker_.find_thread();
  // The wake-up would come to check without this; so what is wanted by now holds in this iteration.
  if (self.waker_.is_sent()) self.reconcile();  // model: PREPARE
}

// The check of the same iteration reconciles.
void Reconciler::on_wake(uv_poll_t *poll, int, int) {
  Reconciler &self = self_of(poll);
  self.wake_fd_.read();
  self.waker_.remind();
}

void Reconciler::on_check(uv_check_t *check) {
  Reconciler &self = self_of(check);
  self.waker_.enter();
  self.polls_.dispatch_always_ready();
  self.reconcile();
  self.run_frees();
  self.reconcile();
  if (self.is_drained()) self.drains_.run();
  self.reconcile();
  self.waker_.leave();
}

// --- What the handles stand for ---

void Reconciler::reconcile() noexcept {
  if (closing_) return;
  waker_.acknowledge();
  polls_.reconcile();
  timeouts_.reconcile();
  set_timer();
  const bool needs_check = polls_.has_always_ready() || has_frees() || is_drained();
  set_check(needs_check);
  set_idle(needs_check || timeouts_.has_list());
  set_alive();
}

void Reconciler::set_timer() noexcept {
  const std::uint64_t due = std::min(timeouts_.next_due(), polls_.retry_due());
  if (due == timer_due_) return;
  timer_due_ = due;
  const std::uint64_t now = uv_now(loop_);
  if (due == kNever)
    uv_timer_stop(&timer_);
  else
    uv_timer_start(&timer_, on_timer, due > now ? due - now : 0, 0);
}

void Reconciler::set_check(bool active) noexcept {
  if (active)
    uv_check_start(&check_, on_check);
  else
    uv_check_stop(&check_);
}

void Reconciler::set_idle(bool active) noexcept {
  if (active == idle_active_) return;
  idle_active_ = active;
  if (active)
    uv_idle_start(&idle_, on_idle);
  else
    uv_idle_stop(&idle_);
}

void Reconciler::set_alive() noexcept {
  const bool alive = referenced_ && (counters.busy() || !drains_.empty());
  if (alive == alive_) return;
  alive_ = alive;
  if (alive)
    uv_ref(base(prepare_));
  else
    uv_unref(base(prepare_));
}

void Reconciler::set_referenced(bool referenced) noexcept {
  referenced_ = referenced;
  set_alive();
}

void Reconciler::run_frees() noexcept {
  watches_.run_frees();
  timeouts_.run_frees();
}

bool Reconciler::has_frees() const noexcept { return watches_.has_frees() || timeouts_.has_frees(); }

bool Reconciler::is_drained() const noexcept { return !closing_ && !drains_.empty() && !counters.busy(); }

}  // namespace virt_uv
