// SPDX-License-Identifier: LGPL-2.1-or-later
#include "connection.hpp"

#include <libvirt/virterror.h>

#include <stdexcept>

namespace virt_uv::bench {

namespace {

constexpr int kKeepAliveSeconds = 5;
constexpr unsigned kKeepAliveCount = 5;

void check(bool good, const char *call) {
  if (!good) throw std::runtime_error(std::string(call) + ": " + virGetLastErrorMessage());
}

}  // namespace

Connection::Connection(const std::string &uri) : conn_(virConnectOpen(uri.c_str())) { check(conn_, "virConnectOpen"); }

Connection::~Connection() {
  if (conn_) virConnectClose(conn_);
}

void Connection::keep_alive() {
  check(virConnectSetKeepAlive(conn_, kKeepAliveSeconds, kKeepAliveCount) == 0, "virConnectSetKeepAlive");
}

void Connection::register_lifecycle(virConnectDomainEventCallback cb, void *opaque) {
  check(virConnectDomainEventRegister(conn_, cb, opaque, nullptr) == 0, "virConnectDomainEventRegister");
}

void Connection::deregister_lifecycle(virConnectDomainEventCallback cb) {
  check(virConnectDomainEventDeregister(conn_, cb) == 0, "virConnectDomainEventDeregister");
}

void Connection::call() const {
  unsigned long version;
  check(virConnectGetLibVersion(conn_, &version) == 0, "virConnectGetLibVersion");
}

std::vector<Connection> open_connections(const std::string &uri, int count) {
  std::vector<Connection> ret;
  ret.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) ret.emplace_back(uri);
  return ret;
}

}  // namespace virt_uv::bench
