/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One URI that is watched, for as long as the program runs: the connection to it comes and goes.
 *
 *               ┌──────────────── lost ────────────────┐
 *               ▼                                      │
 *   start ──▶ Opening ──▶ Open ──▶ Closing ──▶ Pausing ─┘   (the pause over: Opening again)
 *                │                    │           │
 *                └────── stop ────────┴───────────┴──▶ Ended
 *
 * Opening and Closing are jobs on the thread pool; at most one is under way at a time. All else is done on the loop's
 * thread, but for lost(), which libvirt calls from whichever thread finds the connection broken: it
 * leaves a note and wakes the loop. A connection that breaks is closed like any other before it is opened again, so an
 * event never comes twice.
 *
 * It must outlive its two libuv handles and its subscriptions: until ended() has been called and the loop been drained.
 */
#pragma once

#include <uv.h>

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backoff.hpp"
#include "event.hpp"
#include "session.hpp"
#include "subscription.hpp"

namespace events {

class Connection;

/* Told of what happens to connections, on the loop's thread. */
class ConnectionObserver {
 public:
  virtual void opened(const Connection &connection) = 0;
  virtual void delivered(const Connection &connection, const Event &event) = 0;
  virtual void bad_uri(const Connection &connection, const std::string &why) = 0;
  virtual void ended(const Connection &connection) = 0;

 protected:
  ~ConnectionObserver() = default;
};

struct ConnectionOptions {
  Keepalive keepalive;
  bool reconnect = true;
  std::vector<const EventKind *> kinds;
};

class Connection final : private EventSink {
 public:
  enum class State { kOpening, kOpen, kClosing, kPausing, kEnded };

  /* `uri` empty: libvirt's own default. */
  Connection(uv_loop_t *loop, ConnectionObserver *observer, const ConnectionOptions &options, std::string uri);
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  void start();

  /* For good. ended() follows, not from within this call, once what is under way has come to its end. */
  void stop();

  State state() const { return state_; }
  const std::string &uri() const { return uri_; }

 private:
  void deliver(const Event &event) override;

  void open();
  void opened(const SessionResult &result);
  void not_opened(const SessionResult &result);
  void report_missing(const SessionResult &result);
  void announce(const std::string &what);
  void close();
  void pause();
  void end();

  static void lost(virConnectPtr, int reason, void *opaque) noexcept;
  bool note_loss();

  uv_loop_t *loop_;
  ConnectionObserver *observer_;
  bool reconnect_;
  std::string uri_; /* as it is shown */
  SessionRequest request_;
  std::vector<Subscription> subscriptions_;
  std::set<const EventKind *> named_; /* the refused kinds that the user has been told of */

  State state_ = State::kEnded;
  bool stopping_ = false;
  bool been_open_ = false;
  virConnectPtr connection_ = nullptr;
  std::vector<Event> early_; /* those that came before the connection's name was known */
  std::uint64_t opened_at_ms_ = 0;
  Backoff backoff_;
  std::uint64_t pause_ms_ = 0;
  uv_timer_t pause_;
  uv_async_t wake_;

  std::mutex loss_mutex_;
  std::optional<std::string> loss_; /* why the connection broke */
};

}  // namespace events
