// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's own loop, the reference.
//
// virEventRunDefaultImpl() always waits. An iteration that must not wait is had by leaving the loop something to free:
// a timeout added and removed. With a free due the loop doesn't sleep, and as it frees timeouts last of all (row 24),
// this takes nothing from what is ready.
#include <libvirt/libvirt.h>

#include <stdexcept>

#include "loop.hpp"

namespace conformance {
namespace {

class DefaultLoop final : public Loop {
 public:
  void set_up() override {
    if (virEventRegisterDefaultImpl() < 0) throw std::runtime_error("virEventRegisterDefaultImpl failed");
  }

  void run_iteration(Wait wait) override {
    if (wait == Wait::kNo && !free_due_) leave_a_free();
    if (virEventRunDefaultImpl() < 0) throw std::runtime_error("virEventRunDefaultImpl failed");
  }

  void tear_down() override {
    while (free_due_) run_iteration(Wait::kYes);
  }

 private:
  void leave_a_free() {
    const int timer = virEventAddTimeout(
        -1, [](int, void *) {}, this, [](void *self) { static_cast<DefaultLoop *>(self)->free_due_ = false; });
    free_due_ = true;
    if (timer < 0 || virEventRemoveTimeout(timer) < 0) throw std::runtime_error("the default loop takes no timeout");
  }

  bool free_due_ = false;
};

}  // namespace

std::unique_ptr<Loop> make_default_loop() { return std::make_unique<DefaultLoop>(); }

}  // namespace conformance
