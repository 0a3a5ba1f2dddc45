/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Numbers into words: libvirt's enumerations begin at 0 and grow at the end, so a table of words is indexed by number,
 * and a number beyond it comes from a libvirt newer than the table. */
#pragma once

#include <cstddef>

namespace events {

template <std::size_t N>
const char *spell(const char *const (&words)[N], int number, const char *otherwise = "unknown") {
  return number >= 0 && static_cast<std::size_t>(number) < N ? words[number] : otherwise;
}

/* What virsh prints where libvirt gives no string. */
inline const char *or_null(const char *string) { return string == nullptr ? "<null>" : string; }

}  // namespace events
