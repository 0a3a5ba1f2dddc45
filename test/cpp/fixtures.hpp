/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What several tests of the C++ layer look through. */
#pragma once

#include <unistd.h>

#include <cstdint>
#include <system_error>
#include <utility>

#include <virt-uv/virt-uv.h>

#include "catch.hpp"

/* A pipe with one end to watch. */
class Pipe {
 public:
  Pipe() { REQUIRE(pipe(fds_) == 0); }
  ~Pipe() {
    close(fds_[0]);
    close(fds_[1]);
  }
  int reader() const { return fds_[0]; }
  int writer() const { return fds_[1]; }
  void make_readable() const { REQUIRE(write(fds_[1], "x", 1) == 1); }
  void empty() const {
    char byte;
    REQUIRE(read(fds_[0], &byte, 1) == 1);
  }

 private:
  int fds_[2];
};

/* Captured by a closure, it counts that closure's destructions. Move-only, and so is the closure. */
class CountsDestruction {
 public:
  explicit CountsDestruction(int& count) : count_(&count) {}
  CountsDestruction(CountsDestruction&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  CountsDestruction& operator=(CountsDestruction&&) = delete;
  ~CountsDestruction() {
    if (count_ != nullptr) ++*count_;
  }

 private:
  int* count_;
};

inline virt_uv_stats stats() {
  virt_uv_stats now = VIRT_UV_STATS_INIT;
  REQUIRE(virt_uv_get_stats(&now) == 0);
  return now;
}

/* The code that `call` throws as std::system_error; fails the test when it throws nothing. */
template <typename Call>
std::error_code error_of(Call&& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return {};
}
