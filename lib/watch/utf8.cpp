/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "utf8.hpp"

namespace virt_uv::watch {
namespace {

struct Form {
  unsigned char first_least, first_most, second_least, second_most;
  std::size_t length;
};

constexpr Form kForms[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
    {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

unsigned char at(std::string_view bytes, std::size_t position) { return static_cast<unsigned char>(bytes[position]); }

bool has_form(std::string_view bytes, const Form &form) {
  if (bytes.size() < form.length || at(bytes, 0) < form.first_least || at(bytes, 0) > form.first_most) return false;
  if (at(bytes, 1) < form.second_least || at(bytes, 1) > form.second_most) return false;
  for (std::size_t i = 2; i < form.length; i++)
    if ((at(bytes, i) & 0xc0) != 0x80) return false;
  return true;
}

}  // namespace

std::size_t utf8_length(std::string_view bytes) {
  if (at(bytes, 0) < 0x80) return 1;
  for (const Form &form : kForms)
    if (has_form(bytes, form)) return form.length;
  return 0;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t length = utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

}  // namespace virt_uv::watch
