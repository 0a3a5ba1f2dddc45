// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Ours: the uv loop with this library attached.
#include <virt-uv/virt-uv.h>

#include <stdexcept>

#include "loop_uv.hpp"

namespace virt_uv::bench {

namespace {

class VirtUvLoop : public UvLoop {
 public:
  VirtUvLoop() {
    int err = virt_uv_attach(uv(), nullptr);
    if (err < 0) throw std::runtime_error(std::string("virt_uv_attach: ") + uv_strerror(err));
  }
};

}  // namespace

std::unique_ptr<Loop> make_virt_uv_loop() { return std::make_unique<VirtUvLoop>(); }

}  // namespace virt_uv::bench
