/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One environment's hold on libvirt's events: the main thread's or a worker's, from attach until its handles are
 * closed.
 *
 *     kDetached ──attach──▶ kAttached ──detach, or the environment ends──▶ kDetaching ──handles closed──▶ kDetached
 *
 * A worker's loop must be empty when its thread ends: Node aborts the process otherwise. So while attached there is an
 * asynchronous cleanup hook; Node turns the loop until the hook is removed, which happens once the last handle is
 * closed. That holds for terminate() and process.exit() in a worker too. When the main thread exits by process.exit()
 * Node runs no hooks, and none are needed.
 *
 * Callbacks of libvirt's run straight from libuv, where Node knows nothing of them. Node runs what promises have
 * waiting after each of its own callbacks, and in each check phase; what a timeout of libvirt's settles would wait for
 * as long as the loop sleeps. So a prepare handle, which does not keep the loop alive, has Node do so before that.
 */
#ifndef VIRT_UV_NODE_ATTACHMENT_H
#define VIRT_UV_NODE_ATTACHMENT_H

#include <node_api.h>
#include <virt-uv/virt-uv.h>

#include <vector>

#include "js.h"
#include "log_sink.h"

namespace virt_uv::node {

class Attachment {
 public:
  Attachment(napi_env env, uv_loop_t *loop);
  ~Attachment();
  Attachment(const Attachment &) = delete;
  Attachment &operator=(const Attachment &) = delete;

  /* Each answers 0 or a libuv error. A function given is called later, unless the answer is an error. */
  int attach(unsigned slow_callback_ms);
  int detach(Function done);
  int drain(Function idle); /* with UV_ECANCELED when a detach comes first */
  int ref();
  int unref();
  int listen(napi_value listener); /* for log lines; nullptr: no more */

 private:
  enum class State { kDetached, kAttached, kDetaching };
  struct Drain;

  int apply_options();
  void take_hold();
  int start_detach();
  void finish_detach();
  std::vector<Drain *> disown_drains();
  void cancel_drains();

  static void on_before_sleep(uv_prepare_t *prepare);
  static void on_idle(void *drain);
  static void on_library_detached(void *self);
  static void on_prepare_closed(uv_handle_t *handle);
  static void on_env_cleanup(napi_async_cleanup_hook_handle hook, void *self);

  napi_env env_;
  uv_loop_t *loop_;
  napi_async_context context_ = nullptr;
  LogSink log_;
  State state_ = State::kDetached;
  bool env_ending_ = false;
  unsigned slow_callback_ms_ = 0;
  napi_async_cleanup_hook_handle cleanup_hook_ = nullptr;
  Function detached_;
  std::vector<Drain *> drains_;
  uv_prepare_t before_sleep_;
  uint64_t calls_seen_ = 0;
};

}  // namespace virt_uv::node

#endif
