/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Enumerations into words. libvirt's enumerations begin at 0 and grow at the end, so a table of words is indexed by
 * number, and a number beyond it comes from a libvirt newer than the table. */
#pragma once

#include <cstddef>

namespace virt_uv::watch {

template <std::size_t N>
const char *word_for(const char *const (&words)[N], int number, const char *otherwise = "unknown") {
  return number >= 0 && static_cast<std::size_t>(number) < N ? words[number] : otherwise;
}

}  // namespace virt_uv::watch
