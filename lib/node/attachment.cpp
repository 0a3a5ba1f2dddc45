/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attachment.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace virt_uv::node {

/* The library keeps a waiting drain across detach and attach, perhaps in another thread. So a Drain belongs to the
 * library until it is called, and loses its owner when the owner detaches. */
struct Attachment::Drain {
  Attachment *owner;
  Function idle;
};

Attachment::Attachment(napi_env env, uv_loop_t *loop)
    : env_(env), loop_(loop), log_(env), watchers_(env, loop, [this](Function done) { on_watcher_closed(done); }) {
  napi_value name = nullptr;
  JS_CHECK(napi_create_string_utf8(env, "virt-uv", NAPI_AUTO_LENGTH, &name));
  JS_CHECK(napi_async_init(env, nullptr, name, &context_));
}

Attachment::~Attachment() { JS_CHECK(napi_async_destroy(env_, context_)); }

int Attachment::attach(unsigned slow_callback_ms) {
  if (state_ == State::kDetaching) return UV_EBUSY;
  slow_callback_ms_ = slow_callback_ms;
  const int err = hold();
  if (err == 0) is_held_by_host_ = true;
  return err;
}

int Attachment::hold() {
  const int err = apply_options();
  if (err == 0 && state_ == State::kDetached) take_hold();
  return err;
}

int Attachment::watch(const Watcher::Options &options, napi_value listener, std::uint32_t *ret) {
  int err = state_ == State::kDetached ? hold() : 0;
  if (err < 0) return err;
  const std::uint32_t watcher = watchers_.add(options, listener);
  if (state_ == State::kAttached) err = watchers_.start(watcher);
  if (err < 0) on_watcher_closed(Function());
  if (err == 0) *ret = watcher;
  return err;
}

/* `done` is called when the attachment that the watcher held has been given back too. */
void Attachment::on_watcher_closed(Function done) {
  if (env_ending_) done.release();
  const bool is_last = watchers_.is_empty() && (env_ending_ || !is_held_by_host_);
  if (is_last && state_ == State::kAttached) {
    if (done) detached_.push_back(done);
    start_detach();
  } else if (done) {
    done.call(context_, 0, "watch");
  }
}

/* A drain that is cancelled calls JS, which may call detach() too. So that is done last. */
int Attachment::detach(Function done) {
  if (state_ == State::kDetached) return UV_ENOTCONN;
  if (state_ == State::kDetaching) {
    detached_.push_back(done);
    return 0;
  }
  const std::vector<Drain *> cancelled = disown_drains();
  is_held_by_host_ = false;
  slow_callback_ms_ = 0;
  const int err = start_detach();
  if (err == 0) detached_.push_back(done);
  for (Drain *drain : cancelled) drain->idle.call(context_, UV_ECANCELED, "drain");
  return err;
}

/* The library refuses only if the host has closed every handle on the loop, our own too. */
int Attachment::start_detach() {
  state_ = State::kDetaching;
  const int err = virt_uv_detach(on_library_detached, this);
  if (err < 0) finish_detach();
  return err;
}

int Attachment::drain(Function idle) {
  if (state_ != State::kAttached) return UV_ENOTCONN;
  auto drain = std::make_unique<Drain>(Drain{this, idle});
  const int err = virt_uv_drain(on_idle, drain.get());
  if (err == 0) drains_.push_back(drain.release());
  return err;
}

int Attachment::ref() {
  if (state_ != State::kAttached) return UV_ENOTCONN;
  virt_uv_ref();
  return 0;
}

int Attachment::unref() {
  if (state_ != State::kAttached) return UV_ENOTCONN;
  virt_uv_unref();
  return 0;
}

int Attachment::listen(napi_value listener) {
  log_.listen(listener);
  return state_ == State::kAttached ? apply_options() : 0;
}

int Attachment::apply_options() {
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  log_.fill(&options);
  options.slow_callback_ms = slow_callback_ms_;
  return virt_uv_attach(loop_, &options);
}

/* In the library, unref() holds across a detach. In Node each attach begins with ref(). */
void Attachment::take_hold() {
  state_ = State::kAttached;
  virt_uv_ref();
  JS_CHECK(napi_add_async_cleanup_hook(env_, on_env_cleanup, this, &cleanup_hook_));
  uv_prepare_init(loop_, &before_sleep_);
  before_sleep_.data = this;
  uv_prepare_start(&before_sleep_, on_before_sleep);
  uv_unref(reinterpret_cast<uv_handle_t *>(&before_sleep_));
}

void Attachment::on_before_sleep(uv_prepare_t *prepare) {
  auto *const self = static_cast<Attachment *>(prepare->data);
  self->watchers_.tell(self->context_);
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  virt_uv_get_stats(&stats);
  const uint64_t calls = stats.callbacks + stats.frees;
  if (std::exchange(self->calls_seen_, calls) == calls) return;
  const CallbackScope scope(self->env_, self->context_);
}

void Attachment::on_idle(void *opaque) {
  const std::unique_ptr<Drain> drain(static_cast<Drain *>(opaque));
  Attachment *const owner = drain->owner;
  if (owner == nullptr) return;
  owner->drains_.erase(std::find(owner->drains_.begin(), owner->drains_.end(), drain.get()));
  drain->idle.call(owner->context_, 0, "drain");
}

/* A drain without an owner is not called, whichever thread attaches next. The caller calls or releases its function. */
std::vector<Attachment::Drain *> Attachment::disown_drains() {
  std::vector<Drain *> drains;
  drains.swap(drains_);
  for (Drain *drain : drains) drain->owner = nullptr;
  return drains;
}

void Attachment::on_library_detached(void *opaque) {
  auto *const self = static_cast<Attachment *>(opaque);
  uv_close(reinterpret_cast<uv_handle_t *>(&self->before_sleep_), on_prepare_closed);
}

void Attachment::on_prepare_closed(uv_handle_t *prepare) { static_cast<Attachment *>(prepare->data)->finish_detach(); }

/* Watchers that were opened meanwhile come first: a function that is called may attach too. When the hook of an ending
 * environment is removed, `this` may be deleted. */
void Attachment::finish_detach() {
  state_ = State::kDetached;
  std::vector<Function> functions;
  functions.swap(detached_);
  napi_async_cleanup_hook_handle__ *const hook = std::exchange(cleanup_hook_, nullptr);
  if (env_ending_) {
    for (Function &done : functions) done.release();
  }
  const bool env_ending = env_ending_;
  JS_CHECK(napi_remove_async_cleanup_hook(hook));
  if (env_ending) return;
  if (!watchers_.is_empty()) watchers_.start_waiting(context_, hold());
  for (Function &done : functions) done.call(context_, 0, "detach");
}

void Attachment::on_env_cleanup(napi_async_cleanup_hook_handle, void *opaque) {
  auto *const self = static_cast<Attachment *>(opaque);
  self->env_ending_ = true;
  for (Drain *drain : self->disown_drains()) drain->idle.release();
  self->watchers_.end();
  if (self->watchers_.is_empty() && self->state_ == State::kAttached) self->start_detach();
}

}  // namespace virt_uv::node
