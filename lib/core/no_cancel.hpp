// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Defers pthread_cancel() while a call of libvirt's changes what the library holds: close(2), write(2) and fprintf(3)
// are cancellation points, and a thread that ended in one would leave the change half done.
#pragma once

#include <pthread.h>

namespace virt_uv::core {

class NoCancel {
 public:
  NoCancel() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancel() { pthread_setcancelstate(before_, nullptr); }
  NoCancel(const NoCancel &) = delete;
  NoCancel &operator=(const NoCancel &) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace virt_uv::core
