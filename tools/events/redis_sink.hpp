/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --to redis://HOST/STREAM: each record is an entry of a Redis stream (XADD), with the fields `id` and `record`, a
 * line of JSON.
 *
 * At least once: a record stays in the queue until Redis has acknowledged it. When the connection breaks, and Redis may
 * have got what it could not acknowledge any more, all that is left is sent again, in order. The `id` stays the same,
 * so that a consumer can drop what it has seen: RUN-NUMBER, where RUN is random for each run of this program, and
 * NUMBER grows by one.
 *
 *     resolving ─▶ connecting ─▶ connected ─▶ pausing ─▶ resolving
 *
 * Nothing here blocks: the name is resolved by libuv's threads, as hiredis would wait for it. An answer that does not
 * come in time is a broken connection; so is an error of Redis's, as of one that is loading its data: what was refused
 * is sent again, and the log has each new error once. */
#pragma once

#include <hiredis/async.h>

#include "backoff.hpp"
#include "broker_address.hpp"
#include "line_queue.hpp"
#include "sink.hpp"

namespace events {

class RedisSink final : public Sink {
 public:
  RedisSink(BrokerAddress address, std::size_t queue_bytes);

  int open(uv_loop_t *loop, SinkOwner *owner) override;
  void put(const virt_uv::watch::Record &record) override;
  bool is_idle() const override { return queue_.is_empty(); }
  std::size_t waiting() const override { return queue_.size(); }
  std::size_t queued_bytes() const override { return queue_.bytes(); }
  std::uint64_t dropped() const override { return queue_.dropped(); }
  const char *obstacle() const override { return "Redis has not acknowledged them"; }
  void close(std::function<void()> closed) override;

 private:
  std::string line_of(const virt_uv::watch::Record &record);
  void resolve();
  void resolved(int status, const addrinfo *found);
  void connect(const char *host);
  void connected(int status);
  void send();
  void acknowledged(const redisReply *reply);
  void disconnected();
  void fail(const std::string &why);
  void expect_answer();
  void set_timer(std::uint64_t milliseconds, uv_timer_cb callback);

  BrokerAddress address_;
  LineQueue queue_;
  std::size_t in_flight_ = 0; /* the first of the queue: sent, and not acknowledged */
  std::string run_;
  std::uint64_t number_ = 0;
  virt_uv::watch::Backoff backoff_;
  std::string problem_; /* that the log has */
  uv_loop_t *loop_ = nullptr;
  SinkOwner *owner_ = nullptr;
  redisAsyncContext *redis_ = nullptr;
  bool is_connected_ = false, is_closing_ = false, is_resolving_ = false;
  uv_getaddrinfo_t resolver_;
  uv_timer_t timer_; /* of the pause, or of the answer */
  std::function<void()> closed_;
};

}  // namespace events
