/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --to: each record goes to a broker, as a line of JSON and an `id`.
 *
 * At least once: a record stays in the queue until the broker has acknowledged it. When the connection breaks, and the
 * broker may have got what it could not acknowledge any more, all that is left is sent again, in order. The `id` stays
 * the same, so that a consumer can drop what it has seen: RUN-NUMBER, where RUN is random for each run of this program,
 * and NUMBER grows by one.
 *
 *     connecting ─▶ connected ─▶ pausing ─▶ connecting
 *
 * Here are the queue, the state and the log. What speaks to a broker derives from this, and never blocks the loop. An
 * answer that does not come in time is a broken connection; so is an error of the broker's, as of one that is loading
 * its data: what was refused is sent again, and the log has each new error once. */
#pragma once

#include <string_view>

#include "backoff.hpp"
#include "broker_address.hpp"
#include "line_queue.hpp"
#include "sink.hpp"

namespace events {

using virt_uv::watch::Gap;
using virt_uv::watch::LineQueue;

class BrokerSink : public Sink {
 public:
  BrokerSink(BrokerAddress address, std::size_t queue_bytes, const char *obstacle);

  int open(uv_loop_t *loop, SinkOwner *owner) final;
  void put(const virt_uv::watch::Record &record) final;
  bool is_idle() const final { return queue_.is_empty(); }
  std::size_t waiting() const final { return queue_.size(); }
  std::size_t queued_bytes() const final { return queue_.bytes(); }
  std::uint64_t dropped() const final { return queue_.dropped(); }
  const char *obstacle() const final { return obstacle_; }
  void close(std::function<void()> closed) final;

 protected:
  /* Begins to connect: connected() or fail() follows. */
  virtual void connect() = 0;
  /* Sends a record: acknowledged(id) or fail() follows. */
  virtual void send(std::string_view id, std::string_view record) = 0;
  /* Gives the connection up, in whatever state it is. */
  virtual void disconnect() = 0;
  /* Is none of its handles and requests in the loop? disconnected() says when that comes to be so. */
  virtual bool is_disconnected() const = 0;

  void connected();
  void acknowledged(std::string_view id);
  /* Pauses, and begins anew. */
  void fail(const std::string &why);
  void disconnected() { close_when_disconnected(); }

  uv_loop_t *loop() const { return loop_; }
  const BrokerAddress &address() const { return address_; }
  bool is_connected() const { return is_connected_; }
  /* The id of the first record that is not acknowledged. There is one. */
  std::string_view first_id() const;

 private:
  std::string line_of(const virt_uv::watch::Record &record);
  void begin();
  void send_more();
  void expect_answer();
  void set_timer(std::uint64_t milliseconds, uv_timer_cb callback);
  void close_when_disconnected();

  BrokerAddress address_;
  const char *obstacle_;
  LineQueue queue_;           /* of "ID JSON" */
  std::size_t in_flight_ = 0; /* the first of the queue: sent, and not acknowledged */
  std::string run_;
  std::uint64_t number_ = 0;
  virt_uv::watch::Backoff backoff_;
  std::string problem_; /* that the log has */
  uv_loop_t *loop_ = nullptr;
  SinkOwner *owner_ = nullptr;
  bool is_connected_ = false, is_closing_ = false, is_timer_closed_ = false;
  uv_timer_t timer_; /* of the pause, or of the answer */
  std::function<void()> closed_;
};

}  // namespace events
