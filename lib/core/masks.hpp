// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's event bits.
#pragma once

#include <libvirt/libvirt.h>

namespace virt_uv::core {

inline constexpr int kReadable = VIR_EVENT_HANDLE_READABLE;
inline constexpr int kWritable = VIR_EVENT_HANDLE_WRITABLE;
inline constexpr int kError = VIR_EVENT_HANDLE_ERROR;
inline constexpr int kHangup = VIR_EVENT_HANDLE_HANGUP;
inline constexpr int kReadWrite = kReadable | kWritable;

// What is delivered for a mask: ERROR and HANGUP come with any that is not 0 (doc/contract.md, row 4), and nothing with
// 0 (row 5).
constexpr int deliverable(int events) noexcept {
  const int wanted = events & (kReadWrite | kError | kHangup);
  return wanted == 0 ? 0 : wanted | kError | kHangup;
}

}  // namespace virt_uv::core
