// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The registration with libvirt: six process-wide pointers that are set once and stay.
#pragma once

#include "core/log.hpp"
#include "core/timeouts.hpp"

namespace virt_uv::api {

// Makes sure that libvirt's events come to this library, whose timeouts these are: 0; UV_EIO, libvirt cannot be
// initialised; UV_EBUSY, another event loop is registered. Any thread.
int register_with_libvirt(core::Log &log, core::Timeouts &timeouts) noexcept;

}  // namespace virt_uv::api
