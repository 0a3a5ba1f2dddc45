/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The argument of --to: redis://HOST[:PORT]/STREAM or nats://HOST[:PORT]/SUBJECT. A HOST with colons is in brackets. */
#pragma once

#include <string>

namespace events {

enum class Broker { kRedis, kNats };

struct BrokerAddress {
  std::string text; /* as it was given */
  Broker broker;
  std::string host;
  int port;
  std::string place; /* the stream or subject */
};

/* Throws std::invalid_argument with what is wrong with it. */
BrokerAddress parse_broker_address(const std::string &text);

}  // namespace events
