/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "js.h"

#include <uv.h>

namespace virt_uv::node {
namespace {

bool env_is_ending(napi_status status) { return status == napi_pending_exception || status == napi_cannot_run_js; }

/* uv_strerror says what a code means in libuv; this says what it means here. */
struct Advice {
  int uv_error;
  const char *text;
};
constexpr Advice kAdvice[] = {
    {UV_EBUSY,
     "libvirt's events belong to another loop: another thread is attached or still detaching (detach there first), or "
     "another event loop is registered with libvirt, which is for good (a program has one: look for a second copy of "
     "virt-uv of another version, or another library that brings an event loop)"},
    {UV_ENOTCONN, "this thread is not attached; call attach() first"},
    {UV_ECANCELED, "detached before everything was closed; close connections and await drain() before detach()"},
    {UV_ENOTSUP,
     "virt-uv cannot use the libuv of this process; onLog() or VIRT_UV_LOG=error in the environment says why"},
    {UV_EIO, "libvirt could not be initialised"},
    {UV_ECONNABORTED, "the host has closed virt-uv's handles; attach() again"},
};

}  // namespace

const char *explain(int uv_error) {
  for (const Advice &each : kAdvice)
    if (each.uv_error == uv_error) return each.text;
  return uv_strerror(uv_error);
}

void check(napi_status status, const char *call) {
  if (status == napi_ok || env_is_ending(status)) return;
  const std::string message = std::string(call) + ": status " + std::to_string(status);
  napi_fatal_error("virt-uv", NAPI_AUTO_LENGTH, message.c_str(), message.size());
}

napi_value make_error(napi_env env, const char *function, int uv_error) {
  const char *name = uv_err_name(uv_error);
  const std::string text = std::string("virt-uv: ") + function + ": " + name + ": " + explain(uv_error);
  napi_value error = nullptr;
  JS_CHECK(napi_create_error(env, make_string(env, name), make_string(env, text), &error));
  return error;
}

void throw_error(napi_env env, const char *function, int uv_error) {
  JS_CHECK(napi_throw(env, make_error(env, function, uv_error)));
}

std::string read_string(napi_env env, napi_value string) {
  size_t size = 0;
  JS_CHECK(napi_get_value_string_utf8(env, string, nullptr, 0, &size));
  std::string text(size, '\0');
  JS_CHECK(napi_get_value_string_utf8(env, string, text.data(), size + 1, nullptr));
  return text;
}

napi_value make_string(napi_env env, const std::string &text) {
  napi_value string = nullptr;
  JS_CHECK(napi_create_string_utf8(env, text.c_str(), text.size(), &string));
  return string;
}

void set_number(napi_env env, napi_value object, const char *name, double value) {
  napi_value number = nullptr;
  JS_CHECK(napi_create_double(env, value, &number));
  JS_CHECK(napi_set_named_property(env, object, name, number));
}

void set_string(napi_env env, napi_value object, const char *name, const char *value) {
  JS_CHECK(napi_set_named_property(env, object, name, make_string(env, value)));
}

Function::Function(napi_env env, napi_value function) : env_(env) {
  JS_CHECK(napi_create_reference(env, function, 1, &ref_));
}

void Function::release() {
  if (ref_ != nullptr) JS_CHECK(napi_delete_reference(env_, ref_));
  ref_ = nullptr;
}

void Function::call(napi_async_context context, int uv_error, const char *name) {
  const CallbackScope scope(env_, context);
  napi_value function = nullptr, receiver = nullptr, argument = nullptr;
  JS_CHECK(napi_get_reference_value(env_, ref_, &function));
  release();
  JS_CHECK(napi_get_undefined(env_, &receiver));
  if (uv_error < 0) argument = make_error(env_, name, uv_error);
  JS_CHECK(napi_call_function(env_, receiver, function, argument != nullptr ? 1 : 0, &argument, nullptr));
}

CallbackScope::CallbackScope(napi_env env, napi_async_context context) : env_(env) {
  JS_CHECK(napi_open_handle_scope(env, &handles_));
  JS_CHECK(napi_open_callback_scope(env, nullptr, context, &callbacks_));
}

CallbackScope::~CallbackScope() {
  if (callbacks_ != nullptr) JS_CHECK(napi_close_callback_scope(env_, callbacks_));
  JS_CHECK(napi_close_handle_scope(env_, handles_));
}

}  // namespace virt_uv::node
