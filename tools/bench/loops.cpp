// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loops.hpp"

#include <libvirt/libvirt.h>
#include <virt-uv/virt-uv.h>
#ifdef HAVE_LIBVIRT_GLIB
#include <glib.h>
#include <libvirt-glib/libvirt-glib.h>
#endif

#include <map>
#include <stdexcept>

#include "floor_loop.hpp"
#include "window.hpp"

namespace virt_uv::bench {

namespace {

class DefaultLoop : public SteppedLoop {
 public:
  DefaultLoop() {
    if (virEventRegisterDefaultImpl() < 0) throw std::runtime_error("virEventRegisterDefaultImpl failed");
  }

 private:
  void iterate() override {
    if (virEventRunDefaultImpl() < 0) throw std::runtime_error("virEventRunDefaultImpl failed");
  }
};

#ifdef HAVE_LIBVIRT_GLIB
// On the default GMainContext, iterated as g_main_loop_run() does.
class GlibLoop : public SteppedLoop {
 public:
  GlibLoop() { gvir_event_register(); }

 private:
  void iterate() override { g_main_context_iteration(nullptr, TRUE); }
};
#endif

// libuv's default loop with nothing of libvirt's on it.
class UvLoop : public Loop {
 public:
  UvLoop() {
    uv_check_init(uv(), &check_);
    check_.data = this;
    uv_check_start(&check_, on_check);
    uv_unref(reinterpret_cast<uv_handle_t *>(&check_));
  }

  void run() override {
    stopped_ = false;
    uv_run(uv(), UV_RUN_DEFAULT);
    if (!stopped_) throw std::runtime_error("uv_run returned before the workload was done: no handle was active");
  }

  void stop() override {
    stopped_ = true;
    uv_stop(uv());
  }

  uv_loop_t *uv() override { return uv_default_loop(); }

 private:
  static void on_check(uv_check_t *check) { static_cast<UvLoop *>(check->data)->count_iteration(); }

  uv_check_t check_;
  bool stopped_ = false;
};

// The uv loop with this library attached.
class VirtUvLoop : public UvLoop {
 public:
  VirtUvLoop() {
    int err = virt_uv_attach(uv(), nullptr);
    if (err < 0) throw std::runtime_error(std::string("virt_uv_attach: ") + uv_strerror(err));
    own_polls_ = active_polls(uv());
  }

  // It opens so many handles at most in an iteration.
  bool polls_all() override {
    virt_uv_stats stats = VIRT_UV_STATS_INIT;
    virt_uv_get_stats(&stats);
    return active_polls(uv()) >= own_polls_ + stats.watches;
  }

 private:
  size_t own_polls_;
};

template <class Type>
std::unique_ptr<Loop> make() {
  return std::make_unique<Type>();
}

const std::map<std::string, std::unique_ptr<Loop> (*)()> kMakers = {
    {"default", make<DefaultLoop>},
#ifdef HAVE_LIBVIRT_GLIB
    {"glib", make<GlibLoop>},
#endif
    {"floor", make<FloorLoop>},     {"virt-uv", make<VirtUvLoop>}, {kPlainUv, make<UvLoop>},
};

}  // namespace

size_t active_polls(uv_loop_t *loop) {
  size_t ret = 0;
  uv_walk(
      loop,
      [](uv_handle_t *handle, void *count) {
        if (uv_handle_get_type(handle) == UV_POLL && uv_is_active(handle)) ++*static_cast<size_t *>(count);
      },
      &ret);
  return ret;
}

double Loop::event_time() const { return now(); }

std::vector<std::string> loop_names() {
  std::vector<std::string> ret;
  for (const auto &[name, maker] : kMakers) ret.push_back(name);
  return ret;
}

std::unique_ptr<Loop> make_loop(const std::string &name) {
  auto found = kMakers.find(name);
  if (found == kMakers.end()) throw std::runtime_error("no loop is called '" + name + "'");
  return found->second();
}

}  // namespace virt_uv::bench
