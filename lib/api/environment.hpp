// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a user asks of a program from outside, where the program itself does not. VIRT_UV_LOG is core/log.cpp's.
#pragma once

#include "core/log.hpp"

namespace virt_uv::api {

// VIRT_UV_SLOW_CALLBACK_MS; 0: unset or empty, or no such number, of which the log is told. The host's thread that
// attaches.
unsigned slow_callback_ms_wanted(core::Log &log) noexcept;

}  // namespace virt_uv::api
