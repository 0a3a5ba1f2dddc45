// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A whole loop on poll(2), registered through the C++ contract: what EventImpl asks for is enough.
#include <climits>

#include "loop.hpp"
#include "poll_event_impl.hpp"

namespace conformance {
namespace {

class PollLoop final : public Loop {
 public:
  void set_up() override { virt_uv::register_impl(impl_); }
  void run_iteration(Wait wait) override { impl_.run_once(wait == Wait::kYes ? INT_MAX : 0); }
  void tear_down() override { impl_.run_once(0); }

 private:
  PollEventImpl &impl_ = *new PollEventImpl;  // libvirt keeps it until the process ends
};

}  // namespace

std::unique_ptr<Loop> make_poll_loop() { return std::make_unique<PollLoop>(); }

}  // namespace conformance
