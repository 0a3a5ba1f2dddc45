/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

namespace virt_uv::watch {

struct Keepalive {
  int interval = 5; /* seconds; 0: none. The defaults are those of virsh */
  unsigned count = 6;
  bool asked_for = false; /* by the user, who is then told when the connection cannot have it */
};

}  // namespace virt_uv::watch
