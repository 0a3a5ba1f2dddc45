/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <cstddef>
#include <string_view>

namespace virt_uv::watch {

/* The length in bytes of the character that `bytes`, which is not empty, begins with. 0: it is not UTF-8 (Unicode 15,
 * table 3-7: overlong forms and surrogates are not). */
std::size_t utf8_length(std::string_view bytes);

bool is_utf8(std::string_view bytes);

}  // namespace virt_uv::watch
