/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Domain events. The wording is that of `virsh event`: test/integration compares the two, for every kind and value. */
#include <fmt/format.h>

#include "decode.hpp"
#include "event_kinds.hpp"
#include "subscription.hpp"
#include "values.hpp"
#include "words.hpp"

namespace virt_uv::watch::decode {
namespace {

constexpr char kUnsupported[] = "unsupported value";

/* In libvirt, virDomainGetUUIDString() formats the UUID twice, by printf. */
std::string uuid_of(virDomainPtr domain) {
  unsigned char uuid[VIR_UUID_BUFLEN];
  if (virDomainGetUUID(domain, uuid) < 0) return "";
  std::string text;
  for (std::size_t i = 0; i < sizeof uuid; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += "0123456789abcdef"[uuid[i] / 16];
    text += "0123456789abcdef"[uuid[i] % 16];
  }
  return text;
}

/* `rest` is what virsh prints after the domain's name. */
void deliver(void *opaque, virDomainPtr domain, const std::string &rest, Fields own = Fields::object()) {
  const Subscription &to = *static_cast<const Subscription *>(opaque);
  const char *name = virDomainGetName(domain);
  auto &own_fields = own.get_ref<Fields::object_t &>();
  Fields::object_t fields;
  fields.reserve(own_fields.size() + 2);
  fields["domain"] = string(name);
  fields["uuid"] = uuid_of(domain);
  for (auto &[field, value] : own_fields) fields[field] = std::move(value);
  std::string text = fmt::format("event '{}' for domain '{}'{}", to.kind->name, shown(name), rest);
  to.sink->deliver({to.kind->name, std::move(text), std::move(fields), to.kind});
}

/* A word that a release added is one that its virsh prints, and an older one does not. */
const char *lifecycle_detail(int event, int detail) {
  static constexpr const char *kDefined[] = {"Added", "Updated", "Renamed", "Snapshot"};
  static constexpr const char *kUndefined[] = {"Removed", "Renamed"};
  static constexpr const char *kStarted[] = {
    "Booted",
    "Migrated",
    "Restored",
    "Snapshot",
    "Event wakeup",
#if LIBVIR_CHECK_VERSION(11, 6, 0)
    "Recreated",
#endif
  };
  static constexpr const char *kSuspended[] = {
    "Paused",
    "Migrated",
    "I/O Error",
    "Watchdog",
    "Restored",
    "Snapshot",
    "API error",
    "Post-copy",
    "Post-copy Error",
#if LIBVIR_CHECK_VERSION(11, 10, 0)
    "guest shutdown",
#endif
  };
  static constexpr const char *kResumed[] = {"Unpaused", "Migrated", "Snapshot", "Post-copy", "Post-copy Error"};
  static constexpr const char *kStopped[] = {
    "Shutdown",
    "Destroyed",
    "Crashed",
    "Migrated",
    "Saved",
    "Failed",
    "Snapshot",
#if LIBVIR_CHECK_VERSION(11, 6, 0)
    "Recreated",
#endif
  };
  static constexpr const char *kShutdown[] = {"Finished", "Finished after guest request",
                                              "Finished after host request"};
  static constexpr const char *kPMSuspended[] = {"Memory", "Disk"};
  static constexpr const char *kCrashed[] = {"Panicked", "Crashloaded"};
  switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED:
      return word_for(kDefined, detail);
    case VIR_DOMAIN_EVENT_UNDEFINED:
      return word_for(kUndefined, detail);
    case VIR_DOMAIN_EVENT_STARTED:
      return word_for(kStarted, detail);
    case VIR_DOMAIN_EVENT_SUSPENDED:
      return word_for(kSuspended, detail);
    case VIR_DOMAIN_EVENT_RESUMED:
      return word_for(kResumed, detail);
    case VIR_DOMAIN_EVENT_STOPPED:
      return word_for(kStopped, detail);
    case VIR_DOMAIN_EVENT_SHUTDOWN:
      return word_for(kShutdown, detail);
    case VIR_DOMAIN_EVENT_PMSUSPENDED:
      return word_for(kPMSuspended, detail);
    case VIR_DOMAIN_EVENT_CRASHED:
      return word_for(kCrashed, detail);
    default:
      return "unknown";
  }
}

const char *io_error_action(int action) {
  static constexpr const char *kActions[] = {"none", "pause", "report"};
  return word_for(kActions, action);
}

const char *address_family(const virDomainEventGraphicsAddress *address) {
  static constexpr const char *kFamilies[] = {"IPv4", "IPv6", "unix"};
  return word_for(kFamilies, address->family);
}

std::string address_text(const virDomainEventGraphicsAddress *address) {
  return fmt::format("[{} {} {}]", address_family(address), shown(address->node), shown(address->service));
}

Fields address_fields(const virDomainEventGraphicsAddress *address) {
  return {{"family", address_family(address)}, {"node", string(address->node)}, {"service", string(address->service)}};
}

}  // namespace

void domain(virConnectPtr, virDomainPtr domain, void *opaque) noexcept { deliver(opaque, domain, ""); }

int domain_lifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined", "Started",     "Suspended", "Resumed",
                                            "Stopped", "Shutdown",  "PMSuspended", "Crashed"};
  const char *type = word_for(kEvents, event), *why = lifecycle_detail(event, detail);
  deliver(opaque, domain, fmt::format(": {} {}", type, why), {{"type", type}, {"detail", why}});
  return 0;
}

void domain_rtc_change(virConnectPtr, virDomainPtr domain, long long utcoffset, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": {}", utcoffset), {{"utcoffset", integer(utcoffset)}});
}

void domain_watchdog(virConnectPtr, virDomainPtr domain, int action, void *opaque) noexcept {
  static constexpr const char *kActions[] = {"none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi"};
  const char *word = word_for(kActions, action);
  deliver(opaque, domain, fmt::format(": {}", word), {{"action", word}});
}

void domain_io_error(virConnectPtr, virDomainPtr domain, const char *path, const char *alias, int action,
                     void *opaque) noexcept {
  const char *word = io_error_action(action);
  deliver(opaque, domain, fmt::format(": {} ({}) {}", shown(path), shown(alias), word),
          {{"srcPath", string(path)}, {"devAlias", string(alias)}, {"action", word}});
}

void domain_io_error_reason(virConnectPtr, virDomainPtr domain, const char *path, const char *alias, int action,
                            const char *reason, void *opaque) noexcept {
  const char *word = io_error_action(action);
  deliver(opaque, domain, fmt::format(": {} ({}) {} due to {}", shown(path), shown(alias), word, shown(reason)),
          {{"srcPath", string(path)}, {"devAlias", string(alias)}, {"action", word}, {"reason", string(reason)}});
}

void domain_graphics(virConnectPtr, virDomainPtr domain, int phase, const virDomainEventGraphicsAddress *local,
                     const virDomainEventGraphicsAddress *remote, const char *auth_scheme,
                     const virDomainEventGraphicsSubject *subject, void *opaque) noexcept {
  static constexpr const char *kPhases[] = {"connect", "initialize", "disconnect"};
  const char *word = word_for(kPhases, phase);
  std::string text =
      fmt::format(": {} local{} remote{} {}", word, address_text(local), address_text(remote), shown(auth_scheme));
  Fields identities = Fields::array();
  for (int i = 0; i < subject->nidentity; i++) {
    const virDomainEventGraphicsSubjectIdentity &identity = subject->identities[i];
    text += fmt::format("\n\t{}={}", shown(identity.type), shown(identity.name));
    identities.push_back({{"type", string(identity.type)}, {"name", string(identity.name)}});
  }
  deliver(opaque, domain, text,
          {{"phase", word},
           {"local", address_fields(local)},
           {"remote", address_fields(remote)},
           {"authScheme", string(auth_scheme)},
           {"subject", identities}});
}

void domain_block_job(virConnectPtr, virDomainPtr domain, const char *disk, int type, int status,
                      void *opaque) noexcept {
  static constexpr const char *kTypes[] = {"Unknown job",  "Block Pull",          "Block Copy",
                                           "Block Commit", "Active Block Commit", "Backup"};
  static constexpr const char *kStatuses[] = {"completed", "failed", "canceled", "ready"};
  const char *job = word_for(kTypes, type, "Unknown job"), *outcome = word_for(kStatuses, status);
  deliver(opaque, domain, fmt::format(": {} for {} {}", job, shown(disk), outcome),
          {{"disk", string(disk)}, {"type", job}, {"status", outcome}});
}

void domain_disk_change(virConnectPtr, virDomainPtr domain, const char *old_path, const char *new_path,
                        const char *alias, int reason, void *opaque) noexcept {
  static constexpr const char *kReasons[] = {"changed", "dropped"};
  const char *word = word_for(kReasons, reason);
  deliver(opaque, domain, fmt::format(" disk {}: {} -> {}: {}", shown(alias), shown(old_path), shown(new_path), word),
          {{"oldSrcPath", string(old_path)},
           {"newSrcPath", string(new_path)},
           {"devAlias", string(alias)},
           {"reason", word}});
}

void domain_tray_change(virConnectPtr, virDomainPtr domain, const char *alias, int reason, void *opaque) noexcept {
  static constexpr const char *kReasons[] = {"opened", "closed"};
  const char *word = word_for(kReasons, reason);
  deliver(opaque, domain, fmt::format(" disk {}: {}", shown(alias), word),
          {{"devAlias", string(alias)}, {"reason", word}});
}

/* libvirt has named no reason yet, so virsh prints none. */
void domain_power_management(virConnectPtr, virDomainPtr domain, int, void *opaque) noexcept {
  deliver(opaque, domain, "");
}

void domain_balloon_change(virConnectPtr, virDomainPtr domain, unsigned long long actual, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": {}KiB", actual), {{"actual", integer(actual)}});
}

void domain_device(virConnectPtr, virDomainPtr domain, const char *alias, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": {}", shown(alias)), {{"devAlias", string(alias)}});
}

void domain_parameters(virConnectPtr, virDomainPtr domain, virTypedParameterPtr params, int count,
                       void *opaque) noexcept {
  std::string text = ":";
  for (int i = 0; i < count; i++)
    text += fmt::format("\n\t{}: {}", escaped(params[i].field), parameter_text(params[i]));
  deliver(opaque, domain, text, {{"params", parameter_fields(params, count)}});
}

void domain_agent_lifecycle(virConnectPtr, virDomainPtr domain, int state, int reason, void *opaque) noexcept {
  static constexpr const char *kStates[] = {"unknown", "connected", "disconnected"};
  static constexpr const char *kReasons[] = {"unknown", "domain started", "channel event"};
  const char *now = word_for(kStates, state, kUnsupported), *why = word_for(kReasons, reason, kUnsupported);
  deliver(opaque, domain, fmt::format(": state: '{}' reason: '{}'", now, why), {{"state", now}, {"reason", why}});
}

void domain_migration_iteration(virConnectPtr, virDomainPtr domain, int iteration, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": iteration: '{}'", iteration), {{"iteration", iteration}});
}

void domain_metadata_change(virConnectPtr, virDomainPtr domain, int type, const char *nsuri, void *opaque) noexcept {
  static constexpr const char *kTypes[] = {"description", "title", "element"};
  const char *word = word_for(kTypes, type, kUnsupported);
  deliver(opaque, domain, fmt::format(": type {}, uri {}", word, shown(nsuri)),
          {{"type", word}, {"nsuri", string(nsuri)}});
}

void domain_block_threshold(virConnectPtr, virDomainPtr domain, const char *dev, const char *path,
                            unsigned long long threshold, unsigned long long excess, void *opaque) noexcept {
  deliver(
      opaque, domain, fmt::format(": dev: {}({}) {} {}", shown(dev), shown(path), threshold, excess),
      {{"dev", string(dev)}, {"path", string(path)}, {"threshold", integer(threshold)}, {"excess", integer(excess)}});
}

#if LIBVIR_CHECK_VERSION(6, 9, 0)
void domain_memory_failure(virConnectPtr, virDomainPtr domain, int recipient, int action, unsigned flags,
                           void *opaque) noexcept {
  static constexpr const char *kRecipients[] = {"hypervisor", "guest"};
  static constexpr const char *kActions[] = {"ignore", "inject", "fatal", "reset"};
  const char *to = word_for(kRecipients, recipient, kUnsupported), *done = word_for(kActions, action, kUnsupported);
  bool required = (flags & VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED) != 0;
  bool recursive = (flags & VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE) != 0;
  deliver(opaque, domain,
          fmt::format(":\nrecipient: {}\naction: {}\nflags:\n\taction required: {:d}\n\trecursive: {:d}", to, done,
                      required, recursive),
          {{"recipient", to}, {"action", done}, {"flags", {{"action required", required}, {"recursive", recursive}}}});
}
#endif

#if LIBVIR_CHECK_VERSION(7, 9, 0)
void domain_memory_device_size_change(virConnectPtr, virDomainPtr domain, const char *alias, unsigned long long size,
                                      void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(":\nalias: {}\nsize: {}", shown(alias), size),
          {{"alias", string(alias)}, {"size", integer(size)}});
}
#endif

#if LIBVIR_CHECK_VERSION(11, 2, 0)
void domain_nic_mac_change(virConnectPtr, virDomainPtr domain, const char *alias, const char *old_mac,
                           const char *new_mac, void *opaque) noexcept {
  deliver(opaque, domain,
          fmt::format(":\nalias: {}\noldMAC: {}\nnewMAC: {}", shown(alias), shown(old_mac), shown(new_mac)),
          {{"alias", string(alias)}, {"oldMAC", string(old_mac)}, {"newMAC", string(new_mac)}});
}
#endif

#if LIBVIR_CHECK_VERSION(12, 4, 0)
void domain_vcpu_removed(virConnectPtr, virDomainPtr domain, unsigned vcpu, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": vcpu {}", vcpu), {{"vcpuid", vcpu}});
}

void domain_channel_lifecycle(virConnectPtr, virDomainPtr domain, const char *channel, int state, int reason,
                              void *opaque) noexcept {
  static constexpr const char *kStates[] = {"unknown", "connected", "disconnected"};
  static constexpr const char *kReasons[] = {"unknown", "domain started", "channel event"};
  const char *now = word_for(kStates, state, kUnsupported), *why = word_for(kReasons, reason, kUnsupported);
  deliver(opaque, domain, fmt::format(": channel name: '{}' state: '{}' reason: '{}'", shown(channel), now, why),
          {{"channelName", string(channel)}, {"state", now}, {"reason", why}});
}
#endif

}  // namespace virt_uv::watch::decode
