/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt's values as JSON and as text.
 *
 * JSON: most readers keep a number as a double, in which integers are exact up to 2^53. An integer beyond is a string
 * of its digits, so that no reader rounds it without a word. Strings are bytes to libvirt; those that are not UTF-8 are
 * kept as they are in Fields, and line.hpp says how they are printed. */
#pragma once

#include <libvirt/libvirt.h>

#include <string>
#include <string_view>

#include "record.hpp"

namespace virt_uv::watch {

Fields integer(long long value);
Fields integer(unsigned long long value);

/* null where libvirt gives no string. */
Fields string(const char *value);

/* For text. Control characters, and bytes that are not UTF-8, as \n, \t, \x1b and so on: a name must neither begin a
 * line of its own nor move a terminal's cursor. */
std::string escaped(std::string_view bytes);

/* For text: escaped, and "<null>", as virsh prints it, where libvirt gives no string. */
std::string shown(const char *string);

/* libvirt's typed parameters, which "tunable" and "job-completed" events carry. A name that comes more than once has
 * the list of its values. */
Fields parameter_fields(const virTypedParameter *parameters, int count);

/* As virsh prints it. */
std::string parameter_text(const virTypedParameter &parameter);

}  // namespace virt_uv::watch
