/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect.h"

#include <virt-uv/virt-uv.h>

#include <vector>

#include "js.h"

namespace virt_uv::node {
namespace {

napi_value entry_object(napi_env env, const virt_uv_entry &entry) {
  napi_value object = nullptr;
  JS_CHECK(napi_create_object(env, &object));
  set_string(env, object, "type", entry.is_timeout != 0 ? "timeout" : "watch");
  set_number(env, object, "id", entry.id);
  if (entry.is_timeout != 0) {
    set_number(env, object, "frequency", entry.frequency);
  } else {
    set_number(env, object, "fd", entry.fd);
    set_number(env, object, "events", entry.events);
  }
  set_number(env, object, "fired", static_cast<double>(entry.fired));
  set_number(env, object, "lastMs", static_cast<double>(entry.last_ms));
  set_number(env, object, "longestUs", static_cast<double>(entry.longest_us));
  return object;
}

}  // namespace

napi_value stats_object(napi_env env) {
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  virt_uv_get_stats(&stats);
  const struct {
    const char *name;
    uint64_t count;
  } fields[] = {
      {"watches", stats.watches},
      {"timeouts", stats.timeouts},
      {"freesPending", stats.frees_pending},
      {"adds", stats.adds},
      {"frees", stats.frees},
      {"callbacks", stats.callbacks},
      {"dropped", stats.dropped},
      {"inspections", stats.inspections},
      {"wakeups", stats.wakeups},
      {"failures", stats.failures},
      {"slowCallbacks", stats.slow_callbacks},
      {"exceptions", stats.exceptions},
  };
  napi_value object = nullptr;
  JS_CHECK(napi_create_object(env, &object));
  for (const auto &field : fields) set_number(env, object, field.name, static_cast<double>(field.count));
  return object;
}

napi_value watches_array(napi_env env) {
  std::vector<virt_uv_entry> entries;
  const auto collect = [](const virt_uv_entry *entry, void *opaque) {
    static_cast<std::vector<virt_uv_entry> *>(opaque)->push_back(*entry);
  };
  if (const int err = virt_uv_walk(collect, &entries); err < 0) {
    throw_error(env, "watches", err);
    return nullptr;
  }
  napi_value array = nullptr;
  JS_CHECK(napi_create_array_with_length(env, entries.size(), &array));
  for (std::uint32_t i = 0; i < entries.size(); ++i)
    JS_CHECK(napi_set_element(env, array, i, entry_object(env, entries[i])));
  return array;
}

}  // namespace virt_uv::node
