/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "connection.hpp"

#include <fmt/format.h>
#include <libvirt/virterror.h>

#include <memory>
#include <utility>

#include "complain.hpp"
#include "event_kinds.hpp"
#include "pool_job.hpp"

namespace events {
namespace {

/* libvirt's words, where it has some. */
std::string spell_loss(int reason) {
  if (virGetLastErrorCode() != VIR_ERR_OK) return virGetLastErrorMessage();
  switch (reason) {
    case VIR_CONNECT_CLOSE_REASON_EOF:
      return "the host closed the connection";
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
      return "no answer to keepalive messages";
    default:
      return "input or output error";
  }
}

}  // namespace

Connection::Connection(uv_loop_t *loop, ConnectionObserver *observer, const ConnectionOptions &options, std::string uri)
    : loop_(loop),
      observer_(observer),
      reconnect_(options.reconnect),
      uri_(uri.empty() ? "libvirt's default connection" : uri),
      request_{std::move(uri), options.keepalive, lost, this} {
  for (const EventKind *kind : options.kinds) subscriptions_.push_back({this, kind});
}

void Connection::start() {
  uv_timer_init(loop_, &pause_);
  pause_.data = this;
  uv_async_init(loop_, &wake_, [](uv_async_t *wake) {
    auto *self = static_cast<Connection *>(wake->data);
    if (self->state_ == State::kOpen && self->note_loss()) self->close();
  });
  wake_.data = this;
  open();
}

void Connection::stop() {
  stopping_ = true;
  if (state_ == State::kOpen) close();
  if (state_ == State::kPausing) end();
}

void Connection::open() {
  state_ = State::kOpening;
  loss_.reset();
  auto result = std::make_shared<SessionResult>();
  run_on_pool(
      loop_, [this, result] { *result = open_session(request_, subscriptions_); },
      [this, result] { result->connection == nullptr ? not_opened(*result) : opened(*result); });
}

void Connection::opened(const SessionResult &result) {
  state_ = State::kOpen;
  connection_ = result.connection;
  opened_at_ms_ = uv_now(loop_);
  if (request_.uri.empty()) uri_ = result.uri;
  for (const Event &event : std::exchange(early_, {})) observer_->delivered(*this, event);
  if (stopping_ || note_loss()) return close();
  report_missing(result);
  if (std::exchange(been_open_, true)) complain(fmt::format("{}: open again", uri_));
  observer_->opened(*this);
}

void Connection::not_opened(const SessionResult &result) {
  if (stopping_) return end();
  if (result.uri_is_bad && !been_open_) {
    observer_->bad_uri(*this, result.error);
    return end();
  }
  if (!result.has_events) {
    complain(fmt::format("{}: offers none of the events asked for: {}", uri_, result.error));
    return end();
  }
  announce("cannot be opened: " + result.error);
  pause();
}

void Connection::report_missing(const SessionResult &result) {
  if (!result.keepalive_refused.empty() && !been_open_)
    complain(fmt::format("{}: no keepalive: {}", uri_, result.keepalive_refused));
  std::string not_offered;
  for (const Refusal &refusal : result.refused) {
    if (!named_.insert(refusal.kind).second) continue;
    if (refusal.why.empty())
      not_offered += fmt::format("{}{}", not_offered.empty() ? "" : ", ", refusal.kind->name);
    else
      complain(fmt::format("{}: no {} events: {}", uri_, refusal.kind->name, refusal.why));
  }
  if (!not_offered.empty()) complain(fmt::format("{}: the driver does not offer: {}", uri_, not_offered));
}

void Connection::announce(const std::string &what) {
  if (!reconnect_) return complain(fmt::format("{}: {}", uri_, what));
  pause_ms_ = backoff_.next_pause();
  complain(fmt::format("{}: {}; trying again in {:.1f} s", uri_, what, static_cast<double>(pause_ms_) / 1000));
}

void Connection::close() {
  state_ = State::kClosing;
  run_on_pool(
      loop_, [this] { close_session(connection_, request_, subscriptions_); },
      [this] {
        connection_ = nullptr;
        pause();
      });
}

void Connection::pause() {
  if (stopping_ || !reconnect_) return end();
  state_ = State::kPausing;
  uv_timer_start(
      &pause_, [](uv_timer_t *timer) { static_cast<Connection *>(timer->data)->open(); }, pause_ms_, 0);
}

/* libuv closes handles in any order it likes, so the second is closed once the first is. */
void Connection::end() {
  state_ = State::kEnded;
  uv_close(reinterpret_cast<uv_handle_t *>(&pause_), [](uv_handle_t *pause) {
    auto *self = static_cast<Connection *>(pause->data);
    uv_close(reinterpret_cast<uv_handle_t *>(&self->wake_), [](uv_handle_t *wake) {
      auto *ended = static_cast<Connection *>(wake->data);
      ended->observer_->ended(*ended);
    });
  });
}

void Connection::deliver(const Event &event) {
  if (state_ == State::kOpening)
    early_.push_back(event);
  else
    observer_->delivered(*this, event);
}

void Connection::lost(virConnectPtr, int reason, void *opaque) noexcept {
  auto *self = static_cast<Connection *>(opaque);
  {
    std::lock_guard<std::mutex> guard(self->loss_mutex_);
    self->loss_ = spell_loss(reason);
  }
  uv_async_send(&self->wake_);
}

/* Did the connection break? Then the user is told. */
bool Connection::note_loss() {
  std::optional<std::string> loss;
  {
    std::lock_guard<std::mutex> guard(loss_mutex_);
    loss.swap(loss_);
  }
  if (!loss) return false;
  if (uv_now(loop_) - opened_at_ms_ > Backoff::kLongestMs) backoff_.reset();
  announce("lost: " + *loss);
  return true;
}

}  // namespace events
