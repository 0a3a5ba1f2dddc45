/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.hpp"

#include <libvirt/virterror.h>
#include <virt-uv/virt-uv.h>

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

States list_states(const SessionRequest &request, virConnectPtr connection) {
  States states;
  states.after = request.delivered->load();
  if (!list_domain_states(connection, states.records)) states.error = virGetLastErrorMessage();
  return states;
}

SessionResult closed_again(SessionResult result, std::string why, const SessionRequest &request,
                           std::vector<Subscription> &subscriptions) {
  close_session(result.connection, request, subscriptions);
  result.connection = nullptr;
  result.error = std::move(why);
  return result;
}

}  // namespace

SessionResult open_session(const SessionRequest &request, std::vector<Subscription> &subscriptions) {
  virResetLastError();
  std::uint64_t failed_before = failed_adds();
  SessionResult result;
  result.connection = virConnectOpenReadOnly(request.uri.empty() ? nullptr : request.uri.c_str());
  if (result.connection == nullptr) return not_open(request);
  result.uri = name_of(result.connection);
  virConnectRegisterCloseCallback(result.connection, request.lost, request.lost_opaque, nullptr);
  set_keepalive(request.keepalive, result);
  subscribe_all(subscriptions, result);
  if (result.refused.size() == subscriptions.size()) {
    result.has_events = virConnectIsAlive(result.connection) != 1;
    return closed_again(std::move(result), virGetLastErrorMessage(), request, subscriptions);
  }
  /* libvirt opens a connection whose socket it could not watch all the same, and no event ever comes of it. Another
   * connection's failure at the same moment counts too: then this one is tried again as well. */
  if (failed_adds() != failed_before)
    return closed_again(std::move(result), "libvirt's sockets or timers cannot be watched", request, subscriptions);
  if (request.list_states) result.states = list_states(request, result.connection);
  return result;
}

void close_session(virConnectPtr connection, const SessionRequest &request, std::vector<Subscription> &subscriptions) {
  for (Subscription &subscription : subscriptions)
    if (subscription.callback_id >= 0) unsubscribe(connection, subscription);
  virConnectUnregisterCloseCallback(connection, request.lost);
  virConnectClose(connection);
}

}  // namespace virt_uv::watch
