/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uv_loop.hpp"

#include <exception>

#include "catch.hpp"

namespace {
constexpr uint64_t kLimitMs = 20000;
}

UvLoop::UvLoop() {
  REQUIRE(uv_loop_init(&loop_) == 0);
  REQUIRE(uv_timer_init(&loop_, &limit_) == 0);
  limit_.data = this;
}

UvLoop::~UvLoop() {
  uv_close(reinterpret_cast<uv_handle_t*>(&limit_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop_) == 0);
}

void UvLoop::run_until(const std::function<bool()>& done) {
  expired_ = false;
  uv_timer_start(
      &limit_, [](uv_timer_t* limit) { static_cast<UvLoop*>(limit->data)->expired_ = true; }, kLimitMs, 0);
  while (!expired_ && !done()) uv_run(&loop_, UV_RUN_ONCE);
  uv_timer_stop(&limit_);
  REQUIRE_FALSE(expired_);
}
