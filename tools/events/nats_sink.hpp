/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --to nats://HOST/SUBJECT: each record is a message of JetStream's, with the id in the header Nats-Msg-Id, by which
 * JetStream itself drops what it has seen in the last two minutes. A stream must have the subject. */
#pragma once

#include "broker_sink.hpp"
#include "nats_connection.hpp"

namespace events {

class NatsSink final : public BrokerSink, private NatsConnectionOwner {
 public:
  NatsSink(BrokerAddress address, std::size_t queue_bytes)
      : BrokerSink(std::move(address), queue_bytes, "NATS has not acknowledged them") {}

 private:
  void connect() override;
  void send(std::string_view id, std::string_view record) override;
  void disconnect() override;
  bool is_disconnected() const override { return in_loop_ == 0; }

  void nats_connected() override { connected(); }
  void nats_answered(std::string_view id, const std::string &refusal) override;
  void nats_failed(const std::string &why) override { fail(why); }
  void nats_ended() override;

  NatsConnection *connection_ = nullptr; /* that has not been ended */
  int in_loop_ = 0;                      /* connections that have not gone yet, this one included */
};

}  // namespace events
