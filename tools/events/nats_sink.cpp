/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats_sink.hpp"

#include <utility>

namespace events {

void NatsSink::connect() {
  connection_ = NatsConnection::open(loop(), address(), this);
  if (connection_ == nullptr) return fail(uv_strerror(UV_EMFILE));
  ++in_loop_;
}

void NatsSink::send(std::string_view id, std::string_view record) {
  const std::string why = connection_->publish(id, record);
  if (!why.empty()) fail(why);
}

void NatsSink::nats_answered(std::string_view id, const std::string &refusal) {
  if (refusal.empty())
    acknowledged(id);
  else
    fail(refusal);
}

void NatsSink::disconnect() {
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->end();
}

void NatsSink::nats_ended() {
  --in_loop_;
  disconnected();
}

}  // namespace events
