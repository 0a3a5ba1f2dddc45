/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Events of networks, storage pools, node devices and secrets: something happened to the object, and no more is said of
 * it than what. The wording is that of `virsh net-event`, `pool-event`, `nodedev-event` and `secret-event`. */
#include <fmt/format.h>

#include "decode.hpp"
#include "event_kinds.hpp"
#include "subscription.hpp"
#include "values.hpp"
#include "words.hpp"

namespace virt_uv::watch::decode {
namespace {

/* An object as virsh names it, and its fields. */
struct Subject {
  std::string name;
  Fields fields;
};

Subject describe(virNetworkPtr network) {
  const char *name = virNetworkGetName(network);
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virNetworkGetUUIDString(network, uuid);
  return {fmt::format("network {}", shown(name)), {{"network", string(name)}, {"uuid", uuid}}};
}

Subject describe(virStoragePoolPtr pool) {
  const char *name = virStoragePoolGetName(pool);
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virStoragePoolGetUUIDString(pool, uuid);
  return {fmt::format("storage pool {}", shown(name)), {{"pool", string(name)}, {"uuid", uuid}}};
}

Subject describe(virNodeDevicePtr device) {
  const char *name = virNodeDeviceGetName(device);
  return {fmt::format("node device {}", shown(name)), {{"device", string(name)}}};
}

Subject describe(virSecretPtr secret) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virSecretGetUUIDString(secret, uuid);
  return {fmt::format("secret {}", uuid), {{"uuid", uuid}}};
}

void deliver(void *opaque, const Subject &subject) {
  const Subscription &to = *static_cast<const Subscription *>(opaque);
  std::string text = fmt::format("event '{}' for {}", virsh_name(*to.kind), subject.name);
  to.sink->deliver({to.kind->name, std::move(text), subject.fields, to.kind});
}

void deliver(void *opaque, Subject subject, const char *type) {
  subject.name += fmt::format(": {}", type);
  subject.fields["type"] = type;
  deliver(opaque, subject);
}

}  // namespace

void network_lifecycle(virConnectPtr, virNetworkPtr network, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined", "Started", "Stopped"};
  deliver(opaque, describe(network), word_for(kEvents, event));
}

#if LIBVIR_CHECK_VERSION(9, 8, 0)
void network_metadata_change(virConnectPtr, virNetworkPtr network, int type, const char *nsuri, void *opaque) noexcept {
  static constexpr const char *kTypes[] = {"description", "title", "element"};
  const char *word = word_for(kTypes, type, "unsupported value");
  Subject subject = describe(network);
  subject.name += fmt::format(": type {}, uri {}", word, shown(nsuri));
  subject.fields.update({{"type", word}, {"nsuri", string(nsuri)}});
  deliver(opaque, subject);
}
#endif

void pool_lifecycle(virConnectPtr, virStoragePoolPtr pool, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined", "Started", "Stopped", "Created", "Deleted"};
  deliver(opaque, describe(pool), word_for(kEvents, event));
}

void pool(virConnectPtr, virStoragePoolPtr pool, void *opaque) noexcept { deliver(opaque, describe(pool)); }

void device_lifecycle(virConnectPtr, virNodeDevicePtr device, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Created", "Deleted", "Defined", "Undefined"};
  deliver(opaque, describe(device), word_for(kEvents, event));
}

void device(virConnectPtr, virNodeDevicePtr device, void *opaque) noexcept { deliver(opaque, describe(device)); }

void secret_lifecycle(virConnectPtr, virSecretPtr secret, int event, int, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined"};
  deliver(opaque, describe(secret), word_for(kEvents, event));
}

void secret(virConnectPtr, virSecretPtr secret, void *opaque) noexcept { deliver(opaque, describe(secret)); }

}  // namespace virt_uv::watch::decode
