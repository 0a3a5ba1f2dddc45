/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The functions that index.js calls. index.js checks the arguments. module.h says how often they are made.
 *
 * The addon uses Node-API version 8 alone, so one build serves Node 16 and later. It takes uv_* from the host: a second
 * libuv in the process would drive Node's loop with the wrong code.
 */
#include <virt-uv/virt-uv.h>

#include <exception>

#include "attachment.h"
#include "inspect.h"
#include "js.h"
#include "module.h"
#include "watch_options.h"

namespace virt_uv::node {
namespace {

struct Call {
  Attachment *attachment = nullptr;
  napi_value argument = nullptr;
  napi_value second = nullptr;
};

Call read_call(napi_env env, napi_callback_info info) {
  Call call;
  size_t count = 2;
  napi_value arguments[2] = {};
  void *data = nullptr;
  JS_CHECK(napi_get_cb_info(env, info, &count, arguments, nullptr, &data));
  call.attachment = static_cast<Attachment *>(data);
  call.argument = arguments[0];
  call.second = arguments[1];
  return call;
}

std::uint32_t read_number(napi_env env, napi_value number) {
  std::uint32_t result = 0;
  JS_CHECK(napi_get_value_uint32(env, number, &result));
  return result;
}

napi_value result_of(napi_env env, const char *function, int err) {
  if (err < 0) throw_error(env, function, err);
  return nullptr;
}

napi_value attach(napi_env env, napi_callback_info info) {
  const Call call = read_call(env, info);
  return result_of(env, "attach", call.attachment->attach(read_number(env, call.argument)));
}

template <int (Attachment::*start)(Function)>
napi_value call_later(napi_env env, napi_callback_info info, const char *name) {
  const Call call = read_call(env, info);
  Function function(env, call.argument);
  const int err = (call.attachment->*start)(function);
  if (err < 0) function.release();
  return result_of(env, name, err);
}

napi_value detach(napi_env env, napi_callback_info info) {
  if (read_call(env, info).attachment->has_watchers()) {
    JS_CHECK(napi_throw_error(env, "EBUSY", "virt-uv: detach: EBUSY: a watcher is open: close() it first"));
    return nullptr;
  }
  return call_later<&Attachment::detach>(env, info, "detach");
}

napi_value drain(napi_env env, napi_callback_info info) { return call_later<&Attachment::drain>(env, info, "drain"); }

napi_value ref(napi_env env, napi_callback_info info) {
  return result_of(env, "ref", read_call(env, info).attachment->ref());
}

napi_value unref(napi_env env, napi_callback_info info) {
  return result_of(env, "unref", read_call(env, info).attachment->unref());
}

napi_value on_log(napi_env env, napi_callback_info info) {
  const Call call = read_call(env, info);
  napi_valuetype type = napi_undefined;
  JS_CHECK(napi_typeof(env, call.argument, &type));
  return result_of(env, "onLog", call.attachment->listen(type == napi_function ? call.argument : nullptr));
}

/* Options as JSON, and a function that is called when anything has come. Returns the watcher's number. */
napi_value watch(napi_env env, napi_callback_info info) try {
  const Call call = read_call(env, info);
  std::uint32_t number = 0;
  const int err = call.attachment->watch(parse_watch_options(read_string(env, call.argument)), call.second, &number);
  if (err < 0) return result_of(env, "watch", err);
  napi_value result = nullptr;
  JS_CHECK(napi_create_uint32(env, number, &result));
  return result;
} catch (const std::exception &error) {
  const std::string message = std::string("virt-uv: watch: ") + error.what();
  JS_CHECK(napi_throw_type_error(env, "EINVAL", message.c_str()));
  return nullptr;
}

/* The records that wait, oldest first, as the text of a JSON array: so many as make one batch. "": none waits. */
napi_value take(napi_env env, napi_callback_info info) {
  const Call call = read_call(env, info);
  return make_string(env, call.attachment->take(read_number(env, call.argument)));
}

/* For a watcher that is open, once: the number is not used any more. */
napi_value unwatch(napi_env env, napi_callback_info info) {
  const Call call = read_call(env, info);
  call.attachment->unwatch(read_number(env, call.argument), Function(env, call.second));
  return nullptr;
}

napi_value stats(napi_env env, napi_callback_info) { return stats_object(env); }

napi_value watches(napi_env env, napi_callback_info) { return watches_array(env); }

Attachment *new_attachment(napi_env env) {
  uv_loop_t *loop = nullptr;
  JS_CHECK(napi_get_uv_event_loop(env, &loop));
  auto *const attachment = new Attachment(env, loop);
  const auto finalize = [](napi_env, void *data, void *) {
    clear_module();
    delete static_cast<Attachment *>(data);
  };
  JS_CHECK(napi_set_instance_data(env, attachment, finalize, nullptr));
  return attachment;
}

}  // namespace

void fill_exports(napi_env env, napi_value exports) {
  Attachment *const attachment = new_attachment(env);
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"attach", attach}, {"detach", detach}, {"drain", drain},    {"ref", ref},
                   {"unref", unref},   {"onLog", on_log},  {"stats", stats},    {"watches", watches},
                   {"watch", watch},   {"take", take},     {"unwatch", unwatch}};
  for (const auto &entry : functions) {
    napi_value function = nullptr;
    JS_CHECK(napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.function, attachment, &function));
    JS_CHECK(napi_set_named_property(env, exports, entry.name, function));
  }
  set_string(env, exports, "version", virt_uv_version_string());
}

}  // namespace virt_uv::node

NAPI_MODULE_INIT() { return virt_uv::node::first_copy()(env, exports); }
