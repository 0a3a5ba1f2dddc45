/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "subscription.hpp"

#include "event_kinds.hpp"

namespace virt_uv::watch {
namespace {

/* libvirt takes every callback of a family as one type and calls it as the type that the id stands for. */
template <typename Generic>
Generic as(const EventKind &kind) {
  return reinterpret_cast<Generic>(kind.callback);
}

int register_callback(virConnectPtr connection, const EventKind &kind, void *opaque) {
  switch (kind.family) {
    case Family::kDomain:
      return virConnectDomainEventRegisterAny(connection, nullptr, kind.id,
                                              as<virConnectDomainEventGenericCallback>(kind), opaque, nullptr);
    case Family::kNetwork:
      return virConnectNetworkEventRegisterAny(connection, nullptr, kind.id,
                                               as<virConnectNetworkEventGenericCallback>(kind), opaque, nullptr);
    case Family::kStoragePool:
      return virConnectStoragePoolEventRegisterAny(
          connection, nullptr, kind.id, as<virConnectStoragePoolEventGenericCallback>(kind), opaque, nullptr);
    case Family::kNodeDevice:
      return virConnectNodeDeviceEventRegisterAny(connection, nullptr, kind.id,
                                                  as<virConnectNodeDeviceEventGenericCallback>(kind), opaque, nullptr);
    case Family::kSecret:
      return virConnectSecretEventRegisterAny(connection, nullptr, kind.id,
                                              as<virConnectSecretEventGenericCallback>(kind), opaque, nullptr);
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

bool subscribe(virConnectPtr connection, Subscription &subscription) {
  subscription.callback_id = register_callback(connection, *subscription.kind, &subscription);
  return subscription.callback_id >= 0;
}

bool unsubscribe(virConnectPtr connection, Subscription &subscription) {
  int result = deregister_callback(connection, subscription.kind->family, subscription.callback_id);
  subscription.callback_id = -1;
  return result >= 0;
}

}  // namespace virt_uv::watch
