/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What several tests of the C++ layer look through, beside the fixtures of test/support. */
#pragma once

#include <system_error>
#include <utility>

#include "catch.hpp"
#include "host.hpp"
#include "pipes.hpp"

/* A loop that the library is attached to by what is tested. In the end it runs until a detach under way is done, and
 * must have nothing left. */
class UvLoop : public Loop {
 public:
  ~UvLoop() { uv_run(get(), UV_RUN_DEFAULT); }

  template <typename Done>
  void require_until(Done &&done) {
    REQUIRE(run_until(std::forward<Done>(done)));
  }
};

/* Captured by a closure, it counts that closure's destructions. Move-only, and so is the closure. */
class CountsDestruction {
 public:
  explicit CountsDestruction(int &count) : count_(&count) {}
  CountsDestruction(CountsDestruction &&other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  CountsDestruction &operator=(CountsDestruction &&) = delete;
  ~CountsDestruction() {
    if (count_ != nullptr) ++*count_;
  }

 private:
  int *count_;
};

/* The code that `call` throws as std::system_error; fails the test when it throws nothing. */
template <typename Call>
std::error_code error_of(Call &&call) {
  try {
    call();
  } catch (const std::system_error &error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return {};
}
