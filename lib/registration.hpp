// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The registration with libvirt: six process-wide pointers that are set once and stay.
#pragma once

namespace virt_uv {

// Makes sure that libvirt's events come to the adapter: 0; UV_EIO, libvirt can't be initialised; UV_EBUSY, another
// event loop is registered. Any thread.
int register_with_libvirt() noexcept;

}  // namespace virt_uv
