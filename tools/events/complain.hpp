/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Lines for people, on stderr. stdout has events and nothing else. */
#pragma once

#include <string>

namespace events {

/* Writes "virt-uv-events: MESSAGE" as one line, whatever newlines are in the message (some of libvirt's have them). */
void complain(std::string message);

}  // namespace events
