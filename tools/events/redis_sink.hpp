/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --to redis://HOST/STREAM: each record is an entry of a Redis stream (XADD), with the fields `id` and `record`. The
 * name is resolved by libuv's threads, as hiredis would wait for it. */
#pragma once

#include <hiredis/async.h>

#include "broker_sink.hpp"

namespace events {

class RedisSink final : public BrokerSink {
 public:
  RedisSink(BrokerAddress address, std::size_t queue_bytes);

 private:
  void connect() override;
  void send(std::string_view id, std::string_view record) override;
  void disconnect() override;
  bool is_disconnected() const override { return !is_resolving_; }

  void resolved(int status, const addrinfo *found);
  void connect_to(const char *host);
  void on_connected(int status);
  void on_reply(const redisReply *reply);
  void on_disconnected();

  redisAsyncContext *redis_ = nullptr;
  bool is_resolving_ = false, is_given_up_ = false;
  uv_getaddrinfo_t resolver_;
};

}  // namespace events
