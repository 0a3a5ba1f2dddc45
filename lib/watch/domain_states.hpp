/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every domain of a connection with its present state, worded as `virsh domstate --reason` words it. */
#pragma once

#include <libvirt/libvirt.h>

#include <vector>

#include "record_fwd.hpp"

namespace virt_uv::watch {

/* Returns false where libvirt refuses: virGetLastError() has the reason. Waits for the host. */
bool list_domain_states(virConnectPtr connection, std::vector<Record> &ret);

}  // namespace virt_uv::watch
