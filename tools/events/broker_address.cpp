/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker_address.hpp"

#include <fmt/format.h>

#include <regex>
#include <stdexcept>

#include "number.hpp"

namespace events {

BrokerAddress parse_broker_address(const std::string &text) {
  static const std::regex form(R"(redis://(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::([^/]*))?/([^\s]+))");
  std::smatch part;
  if (!std::regex_match(text, part, form))
    throw std::invalid_argument(fmt::format("'{}' is not redis://HOST[:PORT]/STREAM", text));
  const int port = part[3].matched ? parse_number<int>(part[3], 1, 65535, "PORT") : 6379;
  return {text, part[1].matched ? part[1] : part[2], port, part[4]};
}

}  // namespace events
