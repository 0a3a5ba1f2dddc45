// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Is the libuv in this process, and behind this loop, one that the library can drive?
//
// A host such as Node brings a libuv of its own: uv_* then means the host's functions, which the loop was made with,
// or, where the host hides its copy, another libuv's, which would drive the loop with the wrong code. And a few things
// that the library relies on are stated in no manual of libuv (doc/design.md has the list): they are tried out on a
// loop that is thrown away.
#pragma once

#include <uv.h>

#include "core/log.hpp"

namespace virt_uv::loop {

// 0, or UV_ENOTSUP with the reason logged; or, logged too, the error for which that cannot be found out: no memory, no
// free fd.
int check_libuv(core::Log &log, const uv_loop_t *loop) noexcept;

}  // namespace virt_uv::loop
