/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.hpp"

#include <libvirt/virterror.h>

namespace events {
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

SessionResult not_open(const SessionRequest &request) {
  const virError *error = virGetLastError();
  SessionResult result;
  result.error = virGetLastErrorMessage();
  result.uri_is_bad = error != nullptr && is_bad_uri(*error, request.uri);
  return result;
}

/* Drivers without a wire have no keepalive, and need none. */
void set_keepalive(const Keepalive &keepalive, SessionResult &result) {
  if (keepalive.interval == 0) return;
  int refused = virConnectSetKeepAlive(result.connection, keepalive.interval, keepalive.count);
  if (refused == 0 || !keepalive.asked_for) return;
  result.keepalive_refused = refused > 0 ? "the host does not support it" : virGetLastErrorMessage();
}

void subscribe_all(std::vector<Subscription> &subscriptions, SessionResult &result) {
  for (Subscription &subscription : subscriptions) {
    if (subscribe(result.connection, subscription)) continue;
    bool not_offered = virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
    result.refused.push_back({subscription.kind, not_offered ? "" : virGetLastErrorMessage()});
  }
}

}  // namespace

SessionResult open_session(const SessionRequest &request, std::vector<Subscription> &subscriptions) {
  virResetLastError();
  SessionResult result;
  result.connection = virConnectOpenReadOnly(request.uri.empty() ? nullptr : request.uri.c_str());
  if (result.connection == nullptr) return not_open(request);
  result.uri = name_of(result.connection);
  virConnectRegisterCloseCallback(result.connection, request.lost, request.lost_opaque, nullptr);
  set_keepalive(request.keepalive, result);
  subscribe_all(subscriptions, result);
  if (result.refused.size() < subscriptions.size()) return result;

  result.error = virGetLastErrorMessage();
  result.has_events = virConnectIsAlive(result.connection) != 1;
  close_session(result.connection, request, subscriptions);
  result.connection = nullptr;
  return result;
}

void close_session(virConnectPtr connection, const SessionRequest &request, std::vector<Subscription> &subscriptions) {
  for (Subscription &subscription : subscriptions)
    if (subscription.callback_id >= 0) unsubscribe(connection, subscription);
  virConnectUnregisterCloseCallback(connection, request.lost);
  virConnectClose(connection);
}

}  // namespace events
