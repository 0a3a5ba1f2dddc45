/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.hpp"

#include <libvirt/virterror.h>
#include <virt-uv/virt-uv.h>

#include <algorithm>
#include <utility>

#include "domain_states.hpp"

namespace virt_uv::watch {
namespace {

/* libvirt's own judgement, made before it has talked to any host: the URI does not parse, names a transport that does
 * not exist, or names no driver. */
bool is_bad_uri(const virError &error, const std::string &uri) {
  return error.domain == VIR_FROM_URI || error.code == VIR_ERR_INVALID_ARG ||
         (error.code == VIR_ERR_NO_CONNECT && uri.find(':') == std::string::npos);
}

std::string name_of(virConnectPtr connection) {
  char *uri = virConnectGetURI(connection);
  std::string name = uri == nullptr ? "" : uri;
  free(uri);
  return name;
}

/* Watches and timeouts that libvirt asked of its event loop and did not get. */
std::uint64_t failed_adds() {
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  virt_uv_get_stats(&stats);
  return stats.failures;
}

SessionResult not_open(const SessionRequest &request) {
  const virError *error = virGetLastError();
  SessionResult result;
  result.error = virGetLastErrorMessage();
  result.uri_is_bad = error != nullptr && is_bad_uri(*error, request.uri);
  return result;
}

/* libvirt's words, where it has some. */
std::string loss_reason(int reason) {
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

using Held = std::shared_ptr<Session>;

void free_held(void *opaque) { delete static_cast<Held *>(opaque); }

}  // namespace

Session::Session(std::shared_ptr<const SessionRequest> request, Post post, SessionOwner *owner)
    : request_(std::move(request)), post_(std::move(post)), owner_(owner) {}

SessionResult Session::open() {
  SessionResult result = connect();
  Stage stage = Stage::kOpening;
  if (result.is_open && !stage_.compare_exchange_strong(stage, Stage::kOpen)) close();
  return result;
}

bool Session::abandon() {
  owner_ = nullptr;
  return stage_.exchange(Stage::kAbandoned) == Stage::kOpen;
}

SessionResult Session::connect() {
  virResetLastError();
  std::uint64_t failed_before = failed_adds();
  connection_ = virConnectOpenReadOnly(request_->uri.empty() ? nullptr : request_->uri.c_str());
  if (connection_ == nullptr) return not_open(*request_);
  SessionResult result;
  result.is_open = true;
  result.uri = name_of(connection_);
  register_for_loss();
  set_keepalive(result);
  subscribe_all(result);
  if (registrations_.empty()) {
    result.has_events = virConnectIsAlive(connection_) != 1;
    return closed_again(std::move(result), virGetLastErrorMessage());
  }
  /* libvirt opens a connection whose socket it could not watch all the same, and no event ever comes of it. Another
   * connection's failure at the same moment counts too: then this one is tried again as well. */
  if (failed_adds() != failed_before)
    return closed_again(std::move(result), "libvirt's sockets or timers cannot be watched");
  if (request_->list_states) result.states = list_states();
  return result;
}

/* libvirt calls `on_closed` at most once, from any thread, and not once close() has returned. */
void Session::register_for_loss() {
  auto *held = new Held(shared_from_this());
  if (virConnectRegisterCloseCallback(connection_, on_closed, held, free_held) < 0) delete held;
}

/* Drivers without a wire have no keepalive, and need none. */
void Session::set_keepalive(SessionResult &ret) {
  const Keepalive &keepalive = request_->keepalive;
  if (keepalive.interval == 0) return;
  int refused = virConnectSetKeepAlive(connection_, keepalive.interval, keepalive.count);
  if (refused == 0 || !keepalive.asked_for) return;
  ret.keepalive_refused = refused > 0 ? "the host does not support it" : virGetLastErrorMessage();
}

void Session::subscribe_all(SessionResult &ret) {
  for (const EventKind *kind : request_->kinds) {
    int callback_id = subscribe(connection_, *kind, shared_from_this());
    if (callback_id >= 0) {
      registrations_.push_back({kind, callback_id});
      continue;
    }
    bool not_offered = virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
    ret.refused.push_back({kind, not_offered ? "" : virGetLastErrorMessage()});
  }
}

States Session::list_states() {
  States states;
  states.after = delivered_;
  if (!list_domain_states(connection_, states.records)) states.error = virGetLastErrorMessage();
  auto &records = states.records;
  records.erase(std::remove_if(records.begin(), records.end(),
                               [this](const Record &record) { return !request_->domains.passes(record.fields); }),
                records.end());
  return states;
}

SessionResult Session::closed_again(SessionResult result, std::string why) {
  close();
  result.is_open = false;
  result.error = std::move(why);
  return result;
}

void Session::close() {
  for (const Registration &registration : registrations_)
    unsubscribe(connection_, *registration.kind, registration.callback_id);
  registrations_.clear();
  virConnectUnregisterCloseCallback(connection_, on_closed);
  virConnectClose(std::exchange(connection_, nullptr));
}

void Session::deliver(Record record) {
  SessionOwner *owner = owner_;
  if (owner == nullptr || !request_->domains.passes(record.fields)) return;
  ++delivered_;
  owner->on_event(std::move(record));
}

void Session::on_closed(virConnectPtr, int reason, void *opaque) noexcept {
  Held session = *static_cast<Held *>(opaque);
  session->post_([session, why = loss_reason(reason)] {
    if (SessionOwner *owner = session->owner_) owner->on_loss(why);
  });
}

}  // namespace virt_uv::watch
