// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libuv's default loop with nothing of libvirt's on it: the limit, and what ours is attached to.
#pragma once

#include "loop.hpp"

namespace virt_uv::bench {

class UvLoop : public Loop {
 public:
  UvLoop();
  void run() override;
  void stop() override;
  uv_loop_t *uv() override { return uv_default_loop(); }

 private:
  static void on_check(uv_check_t *check);

  uv_check_t check_;
  bool stopped_ = false;
};

}  // namespace virt_uv::bench
