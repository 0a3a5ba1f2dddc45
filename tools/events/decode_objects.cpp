/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Events of networks, storage pools, node devices and secrets: something happened to the object, and no more is said of
 * it than what. The wording is that of `virsh net-event`, `pool-event`, `nodedev-event` and `secret-event`. */
#include <fmt/format.h>

#include "decode.hpp"
#include "event.hpp"
#include "event_kinds.hpp"
#include "spelling.hpp"
#include "subscription.hpp"

namespace events::decode {
namespace {

/* An object as virsh names it, and its fields. */
struct Subject {
  std::string name;
  Fields fields;
};

Subject describe(virNetworkPtr network) {
  const char *name = or_null(virNetworkGetName(network));
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virNetworkGetUUIDString(network, uuid);
  return {fmt::format("network {}", name), {{"network", name}, {"uuid", uuid}}};
}

Subject describe(virStoragePoolPtr pool) {
  const char *name = or_null(virStoragePoolGetName(pool));
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virStoragePoolGetUUIDString(pool, uuid);
  return {fmt::format("storage pool {}", name), {{"pool", name}, {"uuid", uuid}}};
}

Subject describe(virNodeDevicePtr device) {
  const char *name = or_null(virNodeDeviceGetName(device));
  return {fmt::format("node device {}", name), {{"device", name}}};
}

Subject describe(virSecretPtr secret) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virSecretGetUUIDString(secret, uuid);
  return {fmt::format("secret {}", uuid), {{"uuid", uuid}}};
}

void deliver(void *opaque, const Subject &subject) {
  const Subscription &to = *static_cast<const Subscription *>(opaque);
  to.sink->deliver({to.kind, fmt::format("event '{}' for {}", virsh_name(*to.kind), subject.name), subject.fields});
}

void deliver(void *opaque, Subject subject, const char *type) {
  subject.name += fmt::format(": {}", type);
  subject.fields["type"] = type;
  deliver(opaque, subject);
}

}  // namespace

void network_lifecycle(virConnectPtr, virNetworkPtr network, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined", "Started", "Stopped"};
  deliver(opaque, describe(network), spell(kEvents, event));
}

void pool_lifecycle(virConnectPtr, virStoragePoolPtr pool, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined", "Started", "Stopped", "Created", "Deleted"};
  deliver(opaque, describe(pool), spell(kEvents, event));
}

void pool(virConnectPtr, virStoragePoolPtr pool, void *opaque) noexcept { deliver(opaque, describe(pool)); }

void device_lifecycle(virConnectPtr, virNodeDevicePtr device, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Created", "Deleted", "Defined", "Undefined"};
  deliver(opaque, describe(device), spell(kEvents, event));
}

void device(virConnectPtr, virNodeDevicePtr device, void *opaque) noexcept { deliver(opaque, describe(device)); }

void secret_lifecycle(virConnectPtr, virSecretPtr secret, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined"};
  deliver(opaque, describe(secret), spell(kEvents, event));
}

void secret(virConnectPtr, virSecretPtr secret, void *opaque) noexcept { deliver(opaque, describe(secret)); }

}  // namespace events::decode
