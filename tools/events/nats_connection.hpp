/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One connection of cnats's, in a libuv loop, that publishes to JetStream.
 *
 * cnats waits for the server where it connects and where it destroys a connection, so these two are done by libuv's
 * threads. All else is in the loop: cnats is told of events on its socket, and the acknowledgements are taken out of a
 * subscription in which they wait. cnats's own adapter (nats/adapters/libuv.h) does not fit: it refuses to be attached
 * on another thread than the loop's, and so has the loop wait. It also polls the socket itself, whose number cnats has
 * closed by the time that it says so; here a duplicate is polled.
 *
 * cnats calls attach, read, write and detach with its lock held, on the thread that has caused it: the loop's, or the
 * pool's. So they note what is wanted, and wake the loop. It has no thread of its own that would use the connection:
 * no flusher (SendAsap), no pings, no reconnecting. */
#pragma once

#include <nats/nats.h>
#include <uv.h>

#include <atomic>
#include <string>
#include <string_view>

#include "broker_address.hpp"

namespace events {

class NatsConnectionOwner {
 public:
  virtual void nats_connected() = 0;
  /* The answer to what was published with this id: why it was refused; empty: JetStream has it. */
  virtual void nats_answered(std::string_view id, const std::string &refusal) = 0;
  /* It could not be opened, or is lost: end() it. */
  virtual void nats_failed(const std::string &why) = 0;
  /* Nothing of it is in the loop any more, and it is destroyed. */
  virtual void nats_ended() = 0;

 protected:
  ~NatsConnectionOwner() = default;
};

class NatsConnection {
 public:
  /* Begins to connect. It owns itself, until nats_ended(). nullptr: no fds, or no memory. */
  static NatsConnection *open(uv_loop_t *loop, const BrokerAddress &address, NatsConnectionOwner *owner);

  NatsConnection(const NatsConnection &) = delete;
  NatsConnection &operator=(const NatsConnection &) = delete;

  /* Once connected. Empty, or why not. */
  std::string publish(std::string_view id, std::string_view record);

  /* Of the owner's functions, nats_ended() alone is called from here on. */
  void end();

 private:
  NatsConnection(const BrokerAddress &address, NatsConnectionOwner *owner) : address_(address), owner_(owner) {}
  ~NatsConnection();

  void work(void (*in_pool)(NatsConnection &), void (*in_loop)(NatsConnection &));
  void connect();
  natsStatus try_to_connect();
  void connect_is_done();
  void destroy();
  void close_poll();
  void poll_for_what_is_wanted();
  void on_poll(int status, int events);
  void take_answers();
  void answered(natsMsg *msg);
  void want(int event, bool is_wanted);

  static natsStatus on_attach(void **user_data, void *loop, natsConnection *connection, natsSock socket);
  static natsStatus on_read(void *user_data, bool add);
  static natsStatus on_write(void *user_data, bool add);
  static natsStatus on_detach(void *user_data);

  BrokerAddress address_;
  NatsConnectionOwner *owner_;
  natsOptions *options_ = nullptr;
  natsConnection *connection_ = nullptr;
  natsSubscription *answers_ = nullptr;
  std::string inbox_;
  std::string why_; /* it is not connected */
  std::atomic<int> wanted_{0};
  int dup_ = -1; /* of cnats's socket */
  bool is_working_ = false, has_ended_ = false, is_polling_ = false;
  void (*in_pool_)(NatsConnection &) = nullptr;
  void (*in_loop_)(NatsConnection &) = nullptr;
  uv_work_t work_;
  uv_async_t wake_;
  uv_poll_t poll_;
};

}  // namespace events
