// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Is the libuv in this process, and behind this loop, one that the library can drive?
//
// A host such as Node brings a libuv of its own: uv_* then means the host's functions, which the loop was made with,
// or, where the host hides its copy, another libuv's, which would drive the loop with the wrong code.
#pragma once

#include <uv.h>

namespace virt_uv {

// 0, or UV_ENOTSUP with the reason logged; or what uv_loop_init() failed with.
int check_libuv(const uv_loop_t *loop) noexcept;

}  // namespace virt_uv
