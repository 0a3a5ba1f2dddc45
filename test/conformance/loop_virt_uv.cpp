// SPDX-License-Identifier: LGPL-2.1-or-later
//
// virt-uv on a loop of its own, turned by a host that keeps the loop alive with a handle of its own, as hosts do: what
// keeps a loop alive is no part of libvirt's contract and is tested in test/unit.
#include <uv.h>
#include <virt-uv/virt-uv.h>

#include <stdexcept>
#include <string>

#include "loop.hpp"

namespace conformance {
namespace {

void check(int result, const char *call) {
  if (result < 0) throw std::runtime_error(std::string(call) + ": " + uv_strerror(result));
}

class VirtUvLoop final : public Loop {
 public:
  void set_up() override {
    check(uv_loop_init(&loop_), "uv_loop_init");
    check(uv_async_init(&loop_, &host_, nullptr), "uv_async_init");
    check(virt_uv_attach(&loop_, nullptr), "virt_uv_attach");
  }

  void run_iteration(Wait wait) override { uv_run(&loop_, wait == Wait::kYes ? UV_RUN_ONCE : UV_RUN_NOWAIT); }

  void tear_down() override {
    check(virt_uv_detach(nullptr, nullptr), "virt_uv_detach");
    uv_close(reinterpret_cast<uv_handle_t *>(&host_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    check(uv_loop_close(&loop_), "uv_loop_close after virt_uv_detach");
  }

 private:
  uv_loop_t loop_;
  uv_async_t host_;
};

}  // namespace

std::unique_ptr<Loop> make_virt_uv_loop() { return std::make_unique<VirtUvLoop>(); }

}  // namespace conformance
