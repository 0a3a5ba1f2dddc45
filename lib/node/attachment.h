/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The attachment of one environment, the main thread's or a worker's, from attach until its handles are closed.
 *
 *     kDetached ──attach──▶ kAttached ──detach, end of environment──▶ kDetaching ──handles closed──▶ kDetached
 *
 * A worker's loop must be empty when its thread ends: otherwise Node aborts the process. So an attached environment has
 * an asynchronous cleanup hook. Node runs the loop until the hook is removed, which is done when the last handle is
 * closed. This is so for terminate() and for process.exit() in a worker too. When the main thread ends by
 * process.exit(), Node runs no hooks, and none is needed.
 *
 * The host holds an attachment from attach() to detach(), and each watcher from watch() until it is closed. The last
 * one to go detaches; the host cannot detach while a watcher is open. At the end of an environment its watchers are
 * closed first, which takes no longer than their grace.
 *
 * libuv calls libvirt's callbacks directly, so Node does not notice them. Node runs the pending promise jobs after each
 * of its own callbacks, and in each check phase. A promise that one of libvirt's timeouts resolves would wait for as
 * long as the loop sleeps. So a prepare handle, which does not keep the loop alive, makes Node run the jobs before the
 * sleep.
 */
#ifndef VIRT_UV_NODE_ATTACHMENT_H
#define VIRT_UV_NODE_ATTACHMENT_H

#include <node_api.h>
#include <virt-uv/virt-uv.h>

#include <vector>

#include "js.h"
#include "log_sink.h"
#include "watchers.h"

namespace virt_uv::node {

class Attachment {
 public:
  Attachment(napi_env env, uv_loop_t *loop);
  ~Attachment();
  Attachment(const Attachment &) = delete;
  Attachment &operator=(const Attachment &) = delete;

  /* Each returns 0 or a libuv error. A function that is passed is called later, unless an error is returned. */
  int attach(unsigned slow_callback_ms);
  int detach(Function done); /* also while another detach is under way: then called at its end */
  int drain(Function idle);  /* called with UV_ECANCELED if a detach comes first */
  int ref();
  int unref();
  int listen(napi_value listener); /* to log lines; nullptr: stop */

  bool has_watchers() const { return !watchers_.is_empty(); }
  int watch(const Watcher::Options &options, napi_value listener, std::uint32_t *ret);
  std::string take(std::uint32_t watcher) { return watchers_.take(watcher); }
  void unwatch(std::uint32_t watcher, Function done) { watchers_.close(watcher, done); }

 private:
  enum class State { kDetached, kAttached, kDetaching };
  struct Drain;

  int apply_options();
  int hold(); /* attaches, if that has not been done */
  void take_hold();
  void on_watcher_closed(Function done);
  int start_detach();
  void finish_detach();
  std::vector<Drain *> disown_drains();

  static void on_before_sleep(uv_prepare_t *prepare);
  static void on_idle(void *opaque);
  static void on_library_detached(void *opaque);
  static void on_prepare_closed(uv_handle_t *prepare);
  static void on_env_cleanup(napi_async_cleanup_hook_handle hook, void *opaque);

  napi_env env_;
  uv_loop_t *loop_;
  napi_async_context context_ = nullptr;
  LogSink log_;
  Watchers watchers_;
  State state_ = State::kDetached;
  bool is_held_by_host_ = false;
  bool env_ending_ = false;
  unsigned slow_callback_ms_ = 0;
  napi_async_cleanup_hook_handle cleanup_hook_ = nullptr;
  std::vector<Function> detached_;
  std::vector<Drain *> drains_;
  uv_prepare_t before_sleep_;
  uint64_t calls_seen_ = 0;
};

}  // namespace virt_uv::node

#endif
