// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt-glib's loop on the default GMainContext. It is turned by hand, as g_main_loop_run() would, to count the
// turns.
#include <glib.h>
#include <libvirt-glib/libvirt-glib.h>

#include "loop.hpp"

namespace virt_uv::bench {

namespace {

class GlibLoop : public Loop {
 public:
  GlibLoop() { gvir_event_register(); }

  void run() override {
    for (stopped_ = false; !stopped_; count_turn()) g_main_context_iteration(nullptr, TRUE);
  }

  void stop() override { stopped_ = true; }

 private:
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Loop> make_glib_loop() { return std::make_unique<GlibLoop>(); }

}  // namespace virt_uv::bench
