/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt's typed parameters, which "tunable" and "job-completed" events carry. */
#pragma once

#include <libvirt/libvirt.h>

#include <string>

#include "event.hpp"

namespace events {

/* As virsh prints it. */
std::string parameter_text(const virTypedParameter &parameter);

Fields parameter_value(const virTypedParameter &parameter);

}  // namespace events
