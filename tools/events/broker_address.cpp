/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker_address.hpp"

#include <fmt/format.h>

#include <charconv>
#include <regex>
#include <stdexcept>

namespace events {
namespace {

bool is_port(const std::string &text) {
  unsigned port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

}  // namespace

BrokerAddress parse_broker_address(const std::string &text) {
  static const std::regex form(R"((redis)://(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::([^/]*))?/([^\s]+))");
  std::smatch part;
  if (!std::regex_match(text, part, form))
    throw std::invalid_argument(fmt::format("'{}' is not redis://HOST[:PORT]/STREAM", text));
  BrokerAddress address = {text, part[1], part[2].matched ? part[2] : part[3], "6379", part[5]};
  if (part[4].matched) address.port = part[4];
  if (!is_port(address.port))
    throw std::invalid_argument(fmt::format("'{}' is not a port, a whole number from 1 to 65535", address.port));
  return address;
}

}  // namespace events
