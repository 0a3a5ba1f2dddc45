/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module.h"

#include <dlfcn.h>
#include <link.h>

#include <string>
#include <vector>

#include "js.h"

namespace virt_uv::node {
namespace {

constexpr const char *kEntryName = "virt_uv_node_load_2";

struct Module {
  napi_env env = nullptr;
  napi_ref exports = nullptr;
};
thread_local Module module_of_thread;

/* In the order of loading. Nothing is opened meanwhile: dl_iterate_phdr holds a lock of the dynamic linker. */
std::vector<std::string> loaded_addons() {
  std::vector<std::string> paths;
  const auto collect = [](dl_phdr_info *info, size_t, void *opaque) {
    const std::string path = info->dlpi_name;
    if (path.size() > 5 && path.compare(path.size() - 5, 5, ".node") == 0)
      static_cast<std::vector<std::string> *>(opaque)->push_back(path);
    return 0;
  };
  dl_iterate_phdr(collect, &paths);
  return paths;
}

Entry entry_of(const std::string &path) {
  void *const object = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (object == nullptr) return nullptr;
  const auto entry = reinterpret_cast<Entry>(dlsym(object, kEntryName));
  dlclose(object);
  return entry;
}

napi_value load(napi_env env, napi_value exports) {
  Module &module = module_of_thread;
  if (module.env == nullptr) {
    fill_exports(env, exports);
    module.env = env;
    JS_CHECK(napi_create_reference(env, exports, 1, &module.exports));
  }
  napi_value shared = nullptr;
  JS_CHECK(napi_get_reference_value(module.env, module.exports, &shared));
  return shared;
}

}  // namespace

Entry first_copy() {
  for (const std::string &path : loaded_addons())
    if (const Entry entry = entry_of(path)) return entry;
  return load; /* under a name that does not end in .node */
}

void clear_module() { module_of_thread = Module(); }

}  // namespace virt_uv::node

/* What other copies call. */
extern "C" __attribute__((visibility("default"))) napi_value virt_uv_node_load_2(napi_env env, napi_value exports) {
  return virt_uv::node::load(env, exports);
}
