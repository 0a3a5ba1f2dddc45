/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker_address.hpp"

#include <fmt/format.h>

#include <regex>
#include <stdexcept>

#include "number.hpp"

namespace events {

BrokerAddress parse_broker_address(const std::string &text) {
  static const std::regex form(R"((redis|nats)://(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::([^/]*))?/([^\s]+))");
  std::smatch part;
  if (!std::regex_match(text, part, form))
    throw std::invalid_argument(
        fmt::format("'{}' is neither redis://HOST[:PORT]/STREAM nor nats://HOST[:PORT]/SUBJECT", text));
  const Broker broker = part[1] == "redis" ? Broker::kRedis : Broker::kNats;
  const int port = part[4].matched            ? parse_number<int>(part[4], 1, 65535, "PORT")
                   : broker == Broker::kRedis ? 6379
                                              : 4222;
  const std::string place = part[5];
  if (broker == Broker::kNats && place.find_first_of("*>") != std::string::npos)
    throw std::invalid_argument(fmt::format("'{}': nothing can be sent to a subject with * or >", text));
  if (broker == Broker::kNats && ("." + place + ".").find("..") != std::string::npos)
    throw std::invalid_argument(fmt::format("'{}': a subject has no empty part between its dots", text));
  return {text, broker, part[2].matched ? part[2] : part[3], port, place};
}

}  // namespace events
