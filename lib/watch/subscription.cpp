/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "subscription.hpp"

#include <utility>

#include "event_kinds.hpp"

namespace virt_uv::watch {
namespace {

/* libvirt takes every callback of a family as one type and calls it as the type that the id stands for. */
template <typename Generic>
Generic as(const EventKind &kind) {
  return reinterpret_cast<Generic>(kind.callback);
}

void free_subscription(void *opaque) { delete static_cast<Subscription *>(opaque); }

int register_callback(virConnectPtr connection, const EventKind &kind, void *opaque) {
  switch (kind.family) {
    case Family::kDomain:
      return virConnectDomainEventRegisterAny(
          connection, nullptr, kind.id, as<virConnectDomainEventGenericCallback>(kind), opaque, free_subscription);
    case Family::kNetwork:
      return virConnectNetworkEventRegisterAny(
          connection, nullptr, kind.id, as<virConnectNetworkEventGenericCallback>(kind), opaque, free_subscription);
    case Family::kStoragePool:
      return virConnectStoragePoolEventRegisterAny(
          connection, nullptr, kind.id, as<virConnectStoragePoolEventGenericCallback>(kind), opaque, free_subscription);
    case Family::kNodeDevice:
      return virConnectNodeDeviceEventRegisterAny(
          connection, nullptr, kind.id, as<virConnectNodeDeviceEventGenericCallback>(kind), opaque, free_subscription);
    case Family::kSecret:
      return virConnectSecretEventRegisterAny(
          connection, nullptr, kind.id, as<virConnectSecretEventGenericCallback>(kind), opaque, free_subscription);
  }
  return -1;
}

int deregister_callback(virConnectPtr connection, Family family, int id) {
  switch (family) {
    case Family::kDomain:
      return virConnectDomainEventDeregisterAny(connection, id);
    case Family::kNetwork:
      return virConnectNetworkEventDeregisterAny(connection, id);
    case Family::kStoragePool:
      return virConnectStoragePoolEventDeregisterAny(connection, id);
    case Family::kNodeDevice:
      return virConnectNodeDeviceEventDeregisterAny(connection, id);
    case Family::kSecret:
      return virConnectSecretEventDeregisterAny(connection, id);
  }
  return -1;
}

}  // namespace

int subscribe(virConnectPtr connection, const EventKind &kind, std::shared_ptr<EventSink> sink) {
  auto subscription = std::make_unique<Subscription>(Subscription{std::move(sink), &kind});
  int callback_id = register_callback(connection, kind, subscription.get());
  if (callback_id < 0) return -1;
  static_cast<void>(subscription.release()); /* libvirt's from here on */
  return callback_id;
}

void unsubscribe(virConnectPtr connection, const EventKind &kind, int callback_id) {
  deregister_callback(connection, kind.family, callback_id);
}

}  // namespace virt_uv::watch
