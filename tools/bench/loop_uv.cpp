// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop_uv.hpp"

#include <stdexcept>

namespace virt_uv::bench {

UvLoop::UvLoop() {
  uv_check_init(uv(), &check_);
  check_.data = this;
  uv_check_start(&check_, on_check);
  uv_unref(reinterpret_cast<uv_handle_t *>(&check_));
}

void UvLoop::on_check(uv_check_t *check) { static_cast<UvLoop *>(check->data)->count_turn(); }

void UvLoop::run() {
  stopped_ = false;
  uv_run(uv(), UV_RUN_DEFAULT);
  if (!stopped_) throw std::runtime_error("uv_run returned before the workload was done: nothing kept the loop alive");
}

void UvLoop::stop() {
  stopped_ = true;
  uv_stop(uv());
}

std::unique_ptr<Loop> make_plain_uv_loop() { return std::make_unique<UvLoop>(); }

}  // namespace virt_uv::bench
