/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the addon needs on top of Node-API: errors with a libuv code, and calls into JS from a libuv callback.
 *
 * When Node-API reports a broken invariant of ours, JS_CHECK ends the process and prints the call. The statuses of an
 * ending environment, napi_pending_exception and napi_cannot_run_js, are ignored: no caller is left to be told.
 */
#ifndef VIRT_UV_NODE_JS_H
#define VIRT_UV_NODE_JS_H

#include <node_api.h>

#include <cstdint>
#include <string>

namespace virt_uv::node {

void check(napi_status status, const char *call);
#define JS_CHECK(call) ::virt_uv::node::check((call), #call)

/* What a libuv code means here. */
const char *explain(int uv_error);

/* An Error whose `code` is the name of `uv_error`, and whose message says what to do about it. */
napi_value make_error(napi_env env, const char *function, int uv_error);
void throw_error(napi_env env, const char *function, int uv_error);

std::string read_string(napi_env env, napi_value string);
napi_value make_string(napi_env env, const std::string &text);

void set_number(napi_env env, napi_value object, const char *name, double value);
void set_string(napi_env env, napi_value object, const char *name, const char *value);

/* A JS function that is kept to be called later, at most once, on the thread of its environment. Copies refer to the
 * same function. */
class Function {
 public:
  Function() = default;
  Function(napi_env env, napi_value function);
  explicit operator bool() const { return ref_ != nullptr; }

  void release();                                                        /* without calling it, if there is one */
  void call(napi_async_context context, int uv_error, const char *name); /* releases it; uv_error 0: no argument */

 private:
  napi_env env_ = nullptr;
  napi_ref ref_ = nullptr;
};

/* While it exists, a libuv callback may use JS. At its end Node runs the promise jobs and ticks that are pending. */
class CallbackScope {
 public:
  CallbackScope(napi_env env, napi_async_context context);
  ~CallbackScope();
  CallbackScope(const CallbackScope &) = delete;
  CallbackScope &operator=(const CallbackScope &) = delete;

 private:
  napi_env env_;
  napi_handle_scope handles_ = nullptr;
  napi_callback_scope callbacks_ = nullptr;
};

}  // namespace virt_uv::node

#endif
