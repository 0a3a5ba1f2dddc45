// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's own loop: the reference.
#include <libvirt/libvirt.h>

#include <stdexcept>

#include "loop.hpp"

namespace virt_uv::bench {

namespace {

class DefaultLoop : public Loop {
 public:
  DefaultLoop() {
    if (virEventRegisterDefaultImpl() < 0) throw std::runtime_error("virEventRegisterDefaultImpl failed");
  }

  void run() override {
    for (stopped_ = false; !stopped_; count_turn())
      if (virEventRunDefaultImpl() < 0) throw std::runtime_error("virEventRunDefaultImpl failed");
  }

  void stop() override { stopped_ = true; }

 private:
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Loop> make_default_loop() { return std::make_unique<DefaultLoop>(); }

}  // namespace virt_uv::bench
