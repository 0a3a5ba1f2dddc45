// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Event bits: libvirt's, poll(2)'s and libuv's, and which of libuv's can be believed.
//
// libuv tells less than poll(2): it folds POLLHUP into the bits that were asked for, turns POLLERR into a status and
// stops the handle, and asks of a mask without READABLE or WRITABLE nothing at all. libvirt's callers need the
// exact bits (doc/contract.md, rows 4 and 7). So an event is believed only where the fd can have no other bits, and
// else poll(2) is asked ("inspected"):
//
//  - Plain: eventfds, timers and their like, which know no hang-up. Their POLLERR comes as a status, and is inspected.
//  - Socket: as plain until UV_DISCONNECT trips. Every hang-up of a socket comes with POLLRDHUP, so the
//    tripwire sees it; from then on the socket is Inspected (a half-closed one would trip it for ever).
//  - Inspected: FIFOs, terminals and all that is not known: each event is inspected.
//  - Anonymous: an anonymous inode, which only its name tells from others. Its first event is inspected; then it is
//    Plain or Inspected. So what is added, fires once and goes is spared the look at the name.
//  - AlwaysReady: what epoll refuses (regular files, /dev/null): no poll, but a look in each iteration.
//
// And a bit that was not asked for is never believed: to which bits libuv folds a POLLHUP differs between its versions.
#pragma once

#include <uv.h>

#include <cstdint>

#include "core/masks.hpp"
#include "core/watches.hpp"

namespace virt_uv::loop {

// Dispatch passes libuv's two bits on as they are.
static_assert(core::kReadable == UV_READABLE && core::kWritable == UV_WRITABLE,
              "libvirt's and libuv's event bits differ");

// Any thread. kUnknown: errno says why it cannot be told.
core::FdKind fd_kind(int fd) noexcept;

// What an anonymous inode is.
core::FdKind kind_by_name(int fd) noexcept;

// The bits that poll(2) has for the fd now, as libvirt's; of READABLE and WRITABLE, those in `wanted`.
int inspect(int fd, int wanted) noexcept;

// What to ask of libuv so that every event of `wanted` (not 0) wakes it.
int uv_events_for(int wanted, core::FdKind kind) noexcept;

// What libuv makes of them: the kernel must not tell libuv of more than it asked for.
std::uint32_t epoll_events(int uv_events) noexcept;

}  // namespace virt_uv::loop
