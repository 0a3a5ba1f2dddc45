/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Numbers on the command line: decimal digits and nothing else. */
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <string>

namespace events {

/* Throws std::invalid_argument with what is wrong with it; `what` names the number there. */
template <typename Number>
Number parse_number(const std::string &text, Number least, Number most, const std::string &what) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw std::invalid_argument(fmt::format("{}: '{}' is not a whole number from {} to {}", what, text, least, most));
  return number;
}

}  // namespace events
