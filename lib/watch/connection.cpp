/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "event_kinds.hpp"
#include "values.hpp"
#include "workers.hpp"

namespace virt_uv::watch {
namespace {

constexpr char kNoThread[] = "no thread can be started";

}  // namespace

Connection::Connection(uv_loop_t *loop, Workers *workers, Observer *observer, const ConnectionOptions &options,
                       std::string uri)
    : loop_(loop),
      workers_(workers),
      observer_(observer),
      reconnect_(options.reconnect),
      uri_(uri.empty() ? "libvirt's default connection" : uri),
      request_(std::make_shared<SessionRequest>(
          SessionRequest{std::move(uri), options.keepalive, options.states, options.kinds, options.domains})),
      expected_(options.expected) {}

void Connection::start() {
  uv_timer_init(loop_, &pause_);
  pause_.data = this;
  open();
}

void Connection::stop() {
  stopping_ = true;
  if (state_ == State::kOpen) close();
  if (state_ == State::kPausing) end();
}

void Connection::abandon() {
  if (state_ != State::kOpening && state_ != State::kClosing) return;
  bool is_open = session_->abandon();
  /* Where no thread can be had, the connection stays open for good. */
  if (state_ == State::kOpening && is_open) workers_->run([session = session_] { session->close(); }, [] {});
  session_.reset();
  end();
}

/* What it still has to tell is of no interest. */
void Connection::drop_session() { std::exchange(session_, nullptr)->abandon(); }

/* `done` is not called for a session that has been abandoned. */
bool Connection::run(std::function<void()> work, std::function<void()> done) {
  return workers_->run(std::move(work), [this, session = session_, done = std::move(done)] {
    if (session == session_) done();
  });
}

void Connection::open() {
  state_ = State::kOpening;
  loss_.reset();
  SessionOwner *owner = this;
  session_ = std::make_shared<Session>(request_, workers_->poster(), owner);
  auto result = std::make_shared<SessionResult>();
  bool running = run([session = session_, result] { *result = session->open(); },
                     [this, result] { result->is_open ? opened(std::move(*result)) : not_opened(*result); });
  if (running) return;
  session_.reset();
  notice_failure(fmt::format("cannot be opened: {}", kNoThread));
  pause();
}

void Connection::opened(SessionResult result) {
  state_ = State::kOpen;
  subscribed_ = request_->kinds.size() - result.refused.size();
  opened_at_ms_ = uv_now(loop_);
  if (request_->uri.empty()) uri_ = result.uri;
  bool again = std::exchange(has_been_open_, true);
  announce_connection(again ? "reopened" : "opened");
  if (result.states) {
    flush_early(result.states->after);
    report_states(std::move(*result.states));
  }
  flush_early(early_.size());
  if (stopping_ || note_loss()) return close();
  if (!again) report_missing(result);
  observer_->on_open(*this);
}

void Connection::not_opened(const SessionResult &result) {
  drop_session();
  early_.clear();
  if (stopping_) return end();
  if (result.uri_is_bad && !has_been_open_) {
    observer_->on_bad_uri(*this, result.error);
    return end();
  }
  if (!result.has_events) {
    notice(Severity::kError, "offers none of the events asked for: " + result.error);
    return end();
  }
  notice_failure("cannot be opened: " + result.error);
  pause();
}

void Connection::announce_connection(const char *state, const std::string &reason) {
  Record record = {"connection", fmt::format("connection {}", state)};
  record.fields["state"] = state;
  if (!reason.empty()) {
    record.text += ": " + escaped(reason);
    record.fields["reason"] = reason;
  }
  emit(std::move(record));
}

/* Passes on the oldest of the events that have been kept. */
void Connection::flush_early(std::size_t count) {
  auto end = early_.begin() + static_cast<std::ptrdiff_t>(std::min(count, early_.size()));
  std::for_each(early_.begin(), end, [this](Record &record) { emit(std::move(record)); });
  early_.erase(early_.begin(), end);
}

void Connection::report_states(States states) {
  if (!states.error.empty()) notice(Severity::kError, "the domains' states cannot be listed: " + states.error);
  for (Record &record : states.records) emit(std::move(record));
}

void Connection::report_missing(const SessionResult &result) {
  if (!result.keepalive_refused.empty()) notice(Severity::kWarning, "no keepalive: " + result.keepalive_refused);
  std::string not_offered;
  for (const Refusal &refusal : result.refused) {
    if (!refusal.why.empty())
      notice(Severity::kError, fmt::format("no {} events: {}", refusal.kind->name, refusal.why));
    else if (expected_.count(refusal.kind) != 0)
      not_offered += fmt::format("{}{}", not_offered.empty() ? "" : ", ", refusal.kind->name);
  }
  if (!not_offered.empty()) notice(Severity::kWarning, "the driver does not offer: " + not_offered);
}

void Connection::emit(Record record) {
  record.uri = uri_;
  observer_->on_record(*this, std::move(record));
}

void Connection::notice(Severity severity, const std::string &text) { observer_->on_notice(*this, severity, text); }

void Connection::notice_failure(const std::string &what) {
  if (!reconnect_) return notice(Severity::kError, what);
  pause_ms_ = backoff_.next_pause();
  notice(Severity::kWarning, fmt::format("{}; trying again in {:.1f} s", what, static_cast<double>(pause_ms_) / 1000));
}

/* The observer may have called stop() from within a record that this connection was giving it. */
void Connection::close() {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  /* The thread that opened it, or another, is there: Workers keeps one. */
  run([session = session_] { session->close(); },
      [this] {
        drop_session();
        pause();
      });
}

void Connection::pause() {
  if (stopping_ || !reconnect_) return end();
  state_ = State::kPausing;
  uv_timer_start(
      &pause_, [](uv_timer_t *timer) { static_cast<Connection *>(timer->data)->open(); }, pause_ms_, 0);
}

void Connection::end() {
  state_ = State::kEnded;
  uv_close(reinterpret_cast<uv_handle_t *>(&pause_), [](uv_handle_t *pause) {
    auto *self = static_cast<Connection *>(pause->data);
    self->observer_->on_ended(*self);
  });
}

void Connection::on_event(Record record) {
  if (state_ == State::kOpening)
    early_.push_back(std::move(record));
  else
    emit(std::move(record));
}

void Connection::on_loss(const std::string &why) {
  loss_ = why;
  if (state_ == State::kOpen && note_loss()) close();
}

/* Did the connection break? Then the user is told. */
bool Connection::note_loss() {
  if (!loss_) return false;
  if (uv_now(loop_) - opened_at_ms_ > Backoff::kLongestMs) backoff_.reset();
  announce_connection("lost", *loss_);
  notice_failure("lost: " + *std::exchange(loss_, std::nullopt));
  return true;
}

}  // namespace virt_uv::watch
