// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/instance.hpp"

#include <new>

#include "api/environment.hpp"
#include "api/registration.hpp"
#include "core/call_out.hpp"
#include "core/no_cancel.hpp"
#include "core/probes.hpp"
#include "loop/fd_kind.hpp"
#include "loop/libuv_check.hpp"

namespace virt_uv::api {

using core::Watches;
using loop::Reconciler;

namespace {
alignas(Instance) char memory[sizeof(Instance)];
}

Instance &Instance::the_instance = *new (memory) Instance;

// --- The six ---

// The host's own callback on the loop's thread may register what keeps the loop running from here on, and libuv asks at
// the end of the iteration. That the thread is the loop's is known until another one runs it.
void Instance::added() noexcept {
  waker_.if_loop_thread([this] { reconciler_->set_alive(); });
  waker_.wake();
}

int Instance::add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept {
  const core::NoCancel no_cancel;
  const int id = watches_.add(fd, loop::fd_kind(fd), events, cb, opaque, ff);
  VIRT_UV_PROBE(add_handle, id, fd, events);
  if (id >= 0) added();
  return id;
}

void Instance::update_handle(int id, int events) noexcept {
  VIRT_UV_PROBE(update_handle, id, events);
  const Watches::ToDo to_do = watches_.update(id, events);
  if (to_do.tell_kernel) {
    if (!waker_.is_loop_thread()) to_do.watch->state.note_elsewhere(id);
    kernel_mask_.bring_in_line(*to_do.watch, id);
  }
  if (to_do.wake_loop) waker_.wake();
}

int Instance::remove_handle(int id) noexcept {
  VIRT_UV_PROBE(remove_handle, id);
  const Watches::ToDo to_do = watches_.remove(id);
  if (to_do.watch == nullptr) return -1;
  // On the loop's thread nothing has taken the watch off the dirty list yet, so it is still there.
  if (waker_.in_callback())
    reconciler_->polls().release(*to_do.watch);
  else
    waker_.if_loop_thread([&] { reconciler_->polls().release_file(*to_do.watch); });
  waker_.wake();
  context_.log.debug("watch {}: removed", id);
  return 0;
}

int Instance::add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept {
  const int id = timeouts_.add(frequency, cb, opaque, ff);
  VIRT_UV_PROBE(add_timeout, id, frequency);
  if (id >= 0) added();
  return id;
}

void Instance::update_timeout(int id, int frequency) noexcept {
  VIRT_UV_PROBE(update_timeout, id, frequency);
  if (timeouts_.update(id, frequency)) waker_.wake();
}

int Instance::remove_timeout(int id) noexcept {
  VIRT_UV_PROBE(remove_timeout, id);
  if (!timeouts_.remove(id)) return -1;
  waker_.wake();
  context_.log.debug("timeout {}: removed", id);
  return 0;
}

uv_loop_t *Instance::loop() noexcept { return waker_.has_loop() ? loop_.load() : nullptr; }

// --- Attach ---

bool Instance::move(State from, State to) noexcept {
  return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
}

// Another thread that is in one of the loop's calls is known to run the loop. One that is asleep in it is not.
bool Instance::is_wrong_thread(const char *call) noexcept {
  if (!waker_.is_called_elsewhere()) return false;
  context_.log.error("{}: another thread runs the loop: call it on that thread", call);
  return true;
}

bool Instance::is_attached_here(uv_loop_t *loop) noexcept {
  return state() == State::kAttached && loop == loop_.load() && !reconciler_->abandon_if_lost();
}

int Instance::refuse_busy() noexcept {
  context_.log.error("cannot attach: {}", state() == State::kAttached
                                              ? "another loop is attached: detach it first"
                                              : "a detach or another attach has not finished: wait for its end");
  return UV_EBUSY;
}

void Instance::take_over(const virt_uv_options &options) noexcept {
  context_.log.set_function({options.log, options.log_opaque});
  const unsigned asked = options.slow_callback_ms;
  context_.slow_callback_ms.store(asked != 0 ? asked : slow_callback_ms_wanted(context_.log),
                                  std::memory_order_relaxed);
}

int Instance::attach(uv_loop_t *loop, const virt_uv_options &options) noexcept {
  if (is_wrong_thread("virt_uv_attach")) return UV_EPERM;
  if (is_attached_here(loop)) {
    reconciler_->set_alive();
    take_over(options);
    return 0;
  }
  // A loop of another thread's is not ours to look at, except that handles which its host has closed are in nobody's
  // use. (That there is no loop would not tell: its thread may be about to detach it.)
  if (waker_.is_lost()) reconciler_->abandon_if_lost();
  if (!move(State::kDetached, State::kAttaching)) return refuse_busy();
  int err = loop::check_libuv(context_.log, loop);
  if (err == 0) err = register_with_libvirt(context_.log, timeouts_);
  if (err == 0) err = open(loop);
  if (err < 0) {
    state_.store(State::kDetached, std::memory_order_release);
    return err;
  }
  was_lost_ = false;
  loop_.store(loop);
  take_over(options);
  state_.store(State::kAttached, std::memory_order_release);
  waker_.wake();  // for what was made dirty before
  context_.log.info("attached: libuv {}", uv_version_string());
  return 0;
}

int Instance::open(uv_loop_t *loop) noexcept {
  auto *reconciler = new (std::nothrow)
      Reconciler(loop, {context_, watches_, timeouts_, drains_, kernel_mask_, waker_}, {on_closed, on_lost, this});
  const int err = reconciler != nullptr ? reconciler->open(referenced_) : UV_ENOMEM;
  if (err == 0) {
    reconciler_ = reconciler;
    return 0;
  }
  delete reconciler;
  context_.log.error("cannot attach: {}", uv_strerror(err));
  return err;
}

// --- Detach ---

int Instance::detach(virt_uv_cb done, void *opaque) noexcept {
  if (is_wrong_thread("virt_uv_detach")) return UV_EPERM;
  if (state() == State::kAttached) reconciler_->abandon_if_lost();
  if (std::exchange(was_lost_, false)) {
    context_.log.set_function({});  // the host may free it from here on
    return UV_ECONNABORTED;
  }
  if (!move(State::kAttached, State::kDetaching)) {
    const bool is_detaching = state() == State::kDetaching;
    context_.log.error("cannot detach: {}", is_detaching ? "a detach is under way" : "no loop is attached");
    return is_detaching ? UV_EALREADY : UV_ENOTCONN;
  }
  loop_.store(nullptr);
  detached_ = done;
  detached_opaque_ = opaque;
  reconciler_->close();
  return 0;
}

void Instance::on_closed(void *opaque) {
  Instance &self = *static_cast<Instance *>(opaque);
  if (self.reconciler_->is_still_in_use()) self.reconciler_->keep_in(self.abandoned_);
  self.reconciler_ = nullptr;
  self.context_.log.info("detached");
  self.context_.log.set_function({});
  const virt_uv_cb done = self.detached_;
  void *done_opaque = self.detached_opaque_;
  self.state_.store(State::kDetached, std::memory_order_release);  // `done` may attach again
  if (done != nullptr) core::call_guarded(self.context_, [&] { done(done_opaque); });
}

void Instance::on_lost(void *opaque) {
  Instance &self = *static_cast<Instance *>(opaque);
  self.loop_.store(nullptr);
  std::exchange(self.reconciler_, nullptr)->keep_in(self.abandoned_);
  self.was_lost_ = true;
  self.state_.store(State::kDetached, std::memory_order_release);
  self.context_.log.error("the host has closed virt-uv's handles; that loop is given up: attach again");
}

// --- Drain, ref ---

int Instance::drain(virt_uv_cb idle, void *opaque) noexcept {
  if (is_wrong_thread("virt_uv_drain")) return UV_EPERM;
  if (state() != State::kAttached || !waker_.has_loop()) {
    context_.log.error("cannot drain: no loop is attached");
    return UV_ENOTCONN;
  }
  if (!drains_.add(idle, opaque)) {
    context_.log.error("cannot drain: {}", uv_strerror(UV_ENOMEM));
    return UV_ENOMEM;
  }
  reconciler_->set_alive();
  waker_.wake();
  return 0;
}

void Instance::set_referenced(bool referenced) noexcept {
  if (is_wrong_thread(referenced ? "virt_uv_ref" : "virt_uv_unref")) return;
  referenced_ = referenced;
  if (reconciler_ != nullptr) reconciler_->set_referenced(referenced);
}

int Instance::take_loop() noexcept {
  if (is_wrong_thread("virt_uv_take_loop")) return UV_EPERM;
  if (state() != State::kAttached) return UV_ENOTCONN;
  waker_.find_thread();
  return 0;
}

// --- Fork ---

// Waker::mutex_ comes before KernelMask::mutex_, as in remove_handle; the others are never held together.
void Instance::lock_all() noexcept {
  waker_.mutex().lock();
  kernel_mask_.mutex().lock();
  watches_.table().mutex().lock();
  timeouts_.table().mutex().lock();
  context_.log.mutex().lock();
}

void Instance::unlock_all() noexcept {
  context_.log.mutex().unlock();
  timeouts_.table().mutex().unlock();
  watches_.table().mutex().unlock();
  kernel_mask_.mutex().unlock();
  waker_.mutex().unlock();
}

bool Instance::begin_anew() noexcept {
  if (reconciler_ != nullptr) reconciler_->polls().fall_silent();
  if (state() != State::kDetached) return false;
  watches_.disown();
  timeouts_.disown();
  drains_.clear();
  context_.counters.reset();
  context_.calls.clear();
  return true;
}

}  // namespace virt_uv::api
