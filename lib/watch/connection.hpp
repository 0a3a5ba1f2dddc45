/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One URI that is watched, for as long as its owner wants: the connection to it comes and goes.
 *
 *               ┌──────────────── lost ────────────────┐
 *               ▼                                      │
 *   start ──▶ Opening ──▶ Open ──▶ Closing ──▶ Pausing ─┘   (the pause over: Opening again)
 *                │                    │           │
 *                └────── stop ────────┴───────────┴──▶ Ended
 *
 * Opening and Closing are jobs on worker threads; at most one is running at a time. Everything else happens on the
 * loop's thread. A connection that breaks is closed like any other before it is opened again, so an event never comes
 * twice. Each opening has a session of its own, which the job shares: abandon() leaves a job to itself, and goes from
 * Opening or Closing straight to Ended.
 *
 * What the observer is given, in this order: the record "connection" (opened, or opened again), then, where states are
 * asked for, a record "state" for each domain, then events. Events come as soon as libvirt has a subscription, that is
 * while the session is still being opened; they are kept until then. Those that had come before the domains were listed
 * are older than the states, and go before them. So nothing is lost, and no event that a state includes follows it,
 * except one that was on its way while the domains were listed.
 *
 * It must outlive its libuv handle, until on_ended() has been called, and the Workers' handle.
 */
#pragma once

#include <uv.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backoff.hpp"
#include "domain_filter.hpp"
#include "record.hpp"
#include "session.hpp"

namespace virt_uv::watch {

class Connection;
class Workers;

/* Told of what happens to connections, on the loop's thread. */
class Observer {
 public:
  virtual void on_record(const Connection &connection, Record record) = 0;
  virtual void on_open(const Connection &connection) = 0;
  virtual void on_notice(const Connection &connection, Severity severity, const std::string &text) = 0;
  virtual void on_bad_uri(const Connection &connection, const std::string &why) = 0;
  virtual void on_ended(const Connection &connection) = 0;

 protected:
  ~Observer() = default;
};

struct ConnectionOptions {
  Keepalive keepalive;
  bool reconnect = true;
  bool states = false;
  std::vector<const EventKind *> kinds;
  std::set<const EventKind *> expected; /* the user is told when a driver does not offer one of these */
  DomainFilter domains;
};

class Connection final : private SessionOwner {
 public:
  enum class State { kOpening, kOpen, kClosing, kPausing, kEnded };

  /* `uri` empty: libvirt's own default. */
  Connection(uv_loop_t *loop, Workers *workers, Observer *observer, const ConnectionOptions &options, std::string uri);
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  void start();

  /* For good. on_ended() follows, not from within this call, once the job that is running has returned. */
  void stop();

  /* After stop(), without waiting for the job that is running: it closes what it opens. on_ended() follows, not from
   * within this call. */
  void abandon();

  State state() const { return state_; }
  const std::string &uri() const { return uri_; }
  bool has_been_open() const { return has_been_open_; }
  std::size_t subscribed() const { return subscribed_; }

 private:
  void on_event(Record record) override;
  void on_loss(const std::string &why) override;

  bool run(std::function<void()> work, std::function<void()> done);
  void drop_session();
  void open();
  void opened(SessionResult result);
  void not_opened(const SessionResult &result);
  void announce_connection(const char *state, const std::string &reason = "");
  void flush_early(std::size_t count);
  void report_states(States states);
  void report_missing(const SessionResult &result);
  void emit(Record record);
  void notice(Severity severity, const std::string &text);
  void notice_failure(const std::string &what);
  void close();
  void pause();
  void end();

  bool note_loss();

  uv_loop_t *loop_;
  Workers *workers_;
  Observer *observer_;
  bool reconnect_;
  std::string uri_; /* as it is shown */
  std::shared_ptr<const SessionRequest> request_;
  std::set<const EventKind *> expected_;

  State state_ = State::kEnded;
  bool stopping_ = false;
  bool has_been_open_ = false;
  std::size_t subscribed_ = 0;
  std::shared_ptr<Session> session_; /* while it is opening, open or closing */
  std::vector<Record> early_;        /* those that came while the session was being opened */
  std::optional<std::string> loss_;  /* why the connection broke */
  std::uint64_t opened_at_ms_ = 0;
  Backoff backoff_;
  std::uint64_t pause_ms_ = 0;
  uv_timer_t pause_;
};

}  // namespace virt_uv::watch
