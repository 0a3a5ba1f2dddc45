// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Event bits: libvirt's, poll(2)'s and libuv's, and which of libuv's can be believed.
//
// libuv tells less than poll(2): it folds POLLHUP into the bits that were asked for, turns POLLERR into a status and
// stops the handle, and asks of a mask without READABLE or WRITABLE nothing at all. libvirt's callers need the
// exact bits (contract.md, rows 4 and 7). So an event is believed only where the fd can have no other bits, and
// else poll(2) is asked ("inspected"):
//
//  - Plain: eventfds, timers and their like, which know no hang-up. Their POLLERR comes as a status, and is inspected.
//  - Socket: as plain until UV_DISCONNECT trips. Every hang-up of a socket comes with POLLRDHUP, so the
//    tripwire sees it; from then on the socket is Inspected (a half-closed one would trip it for ever).
//  - Inspected: FIFOs, terminals and all that is not known: each event is inspected.
//  - AlwaysReady: what epoll refuses (regular files, /dev/null): no poll, but a look in each iteration.
#pragma once

#include <libvirt/libvirt.h>
#include <uv.h>

namespace virt_uv {

inline constexpr int kReadable = VIR_EVENT_HANDLE_READABLE;
inline constexpr int kWritable = VIR_EVENT_HANDLE_WRITABLE;
inline constexpr int kError = VIR_EVENT_HANDLE_ERROR;
inline constexpr int kHangup = VIR_EVENT_HANDLE_HANGUP;

// Dispatch hands libuv's two bits on as they are.
static_assert(kReadable == UV_READABLE && kWritable == UV_WRITABLE, "libvirt's and libuv's event bits differ");

// What is delivered for a mask: ERROR and HANGUP come with any that is not 0 (row 4), and nothing with 0 (row 5).
constexpr int deliverable(int events) noexcept {
  const int wanted = events & (kReadable | kWritable | kError | kHangup);
  return wanted == 0 ? 0 : wanted | kError | kHangup;
}

enum class FdKind : unsigned char { kUnknown, kPlain, kSocket, kInspected, kAlwaysReady };

// `epoll_refuses`: epoll_ctl answered EPERM for it.
FdKind fd_kind(int fd, bool epoll_refuses) noexcept;

// The bits that poll(2) has for the fd now, as libvirt's; of READABLE and WRITABLE, those in `wanted`.
int inspect(int fd, int wanted) noexcept;

// What to ask of libuv so that every event of `wanted` (not 0) wakes it.
int uv_events_for(int wanted, FdKind kind) noexcept;

}  // namespace virt_uv
