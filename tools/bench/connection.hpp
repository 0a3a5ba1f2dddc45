// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A connection to the private libvirtd, closed with its owner. Any libvirt error throws.
#pragma once

#include <libvirt/libvirt.h>

#include <string>
#include <utility>
#include <vector>

namespace virt_uv::bench {

class Connection {
 public:
  explicit Connection(const std::string &uri);
  Connection(Connection &&other) noexcept : conn_(std::exchange(other.conn_, nullptr)) {}
  Connection &operator=(Connection &&) = delete;
  ~Connection();

  virConnectPtr get() const { return conn_; }
  void keep_alive();

  // Lifecycle events. They go through libvirt's older pair of calls, which takes this type of callback as it is;
  // virConnectDomainEventRegisterAny sends the same messages, and takes it through a cast that compilers warn of.
  void register_lifecycle(virConnectDomainEventCallback cb, void *opaque);
  void deregister_lifecycle(virConnectDomainEventCallback cb);

  // A round trip to the daemon that costs it next to nothing. Any thread.
  void call() const;

 private:
  virConnectPtr conn_;
};

std::vector<Connection> open_connections(const std::string &uri, int count);

}  // namespace virt_uv::bench
