/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "brokers.hpp"

#ifdef VIRT_UV_REDIS
#include "redis_sink.hpp"
#endif
#ifdef VIRT_UV_NATS
#include "nats_sink.hpp"
#endif

namespace events {

const char *missing_library([[maybe_unused]] Broker broker) {
#ifndef VIRT_UV_REDIS
  if (broker == Broker::kRedis) return "hiredis";
#endif
#ifndef VIRT_UV_NATS
  if (broker == Broker::kNats) return "cnats";
#endif
  return nullptr;
}

std::unique_ptr<Sink> make_broker_sink(const BrokerAddress &address, [[maybe_unused]] std::size_t queue_bytes) {
  switch (address.broker) {
#ifdef VIRT_UV_REDIS
    case Broker::kRedis:
      return std::make_unique<RedisSink>(address, queue_bytes);
#endif
#ifdef VIRT_UV_NATS
    case Broker::kNats:
      return std::make_unique<NatsSink>(address, queue_bytes);
#endif
    default:
      return nullptr;
  }
}

}  // namespace events
