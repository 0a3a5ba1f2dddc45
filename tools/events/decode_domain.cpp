/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Domain events. The wording is that of `virsh event`: test/integration compares the two, for every kind and value. */
#include <fmt/format.h>

#include "decode.hpp"
#include "event.hpp"
#include "event_kinds.hpp"
#include "spelling.hpp"
#include "subscription.hpp"
#include "typed_parameters.hpp"

namespace events::decode {
namespace {

constexpr char kUnsupported[] = "unsupported value";

/* `rest` is what virsh prints after the domain's name. */
void deliver(void *opaque, virDomainPtr domain, const std::string &rest, const Fields &own = Fields::object()) {
  const Subscription &to = *static_cast<const Subscription *>(opaque);
  const char *name = or_null(virDomainGetName(domain));
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(domain, uuid);
  Fields fields = {{"domain", name}, {"uuid", uuid}};
  fields.update(own);
  to.sink->deliver({to.kind, fmt::format("event '{}' for domain '{}'{}", to.kind->name, name, rest), fields});
}

/* A string of libvirt's as a value: there may be none. */
Fields value(const char *string) { return string == nullptr ? Fields() : Fields(string); }

const char *spell_lifecycle_detail(int event, int detail) {
  static constexpr const char *kDefined[] = {"Added", "Updated", "Renamed", "Snapshot"};
  static constexpr const char *kUndefined[] = {"Removed", "Renamed"};
  static constexpr const char *kStarted[] = {"Booted", "Migrated", "Restored", "Snapshot", "Event wakeup"};
  static constexpr const char *kSuspended[] = {"Paused",   "Migrated",  "I/O Error", "Watchdog",       "Restored",
                                               "Snapshot", "API error", "Post-copy", "Post-copy Error"};
  static constexpr const char *kResumed[] = {"Unpaused", "Migrated", "Snapshot", "Post-copy", "Post-copy Error"};
  static constexpr const char *kStopped[] = {"Shutdown", "Destroyed", "Crashed", "Migrated",
                                             "Saved",    "Failed",    "Snapshot"};
  static constexpr const char *kShutdown[] = {"Finished", "Finished after guest request",
                                              "Finished after host request"};
  static constexpr const char *kPMSuspended[] = {"Memory", "Disk"};
  static constexpr const char *kCrashed[] = {"Panicked", "Crashloaded"};
  switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED:
      return spell(kDefined, detail);
    case VIR_DOMAIN_EVENT_UNDEFINED:
      return spell(kUndefined, detail);
    case VIR_DOMAIN_EVENT_STARTED:
      return spell(kStarted, detail);
    case VIR_DOMAIN_EVENT_SUSPENDED:
      return spell(kSuspended, detail);
    case VIR_DOMAIN_EVENT_RESUMED:
      return spell(kResumed, detail);
    case VIR_DOMAIN_EVENT_STOPPED:
      return spell(kStopped, detail);
    case VIR_DOMAIN_EVENT_SHUTDOWN:
      return spell(kShutdown, detail);
    case VIR_DOMAIN_EVENT_PMSUSPENDED:
      return spell(kPMSuspended, detail);
    case VIR_DOMAIN_EVENT_CRASHED:
      return spell(kCrashed, detail);
    default:
      return "unknown";
  }
}

const char *spell_io_error_action(int action) {
  static constexpr const char *kActions[] = {"none", "pause", "report"};
  return spell(kActions, action);
}

const char *spell_family(const virDomainEventGraphicsAddress *address) {
  static constexpr const char *kFamilies[] = {"IPv4", "IPv6", "unix"};
  return spell(kFamilies, address->family);
}

std::string address_text(const virDomainEventGraphicsAddress *address) {
  return fmt::format("[{} {} {}]", spell_family(address), or_null(address->node), or_null(address->service));
}

Fields address_fields(const virDomainEventGraphicsAddress *address) {
  return {{"family", spell_family(address)}, {"node", value(address->node)}, {"service", value(address->service)}};
}

}  // namespace

void domain(virConnectPtr, virDomainPtr domain, void *opaque) noexcept { deliver(opaque, domain, ""); }

int domain_lifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void *opaque) noexcept {
  static constexpr const char *kEvents[] = {"Defined", "Undefined", "Started",     "Suspended", "Resumed",
                                            "Stopped", "Shutdown",  "PMSuspended", "Crashed"};
  const char *type = spell(kEvents, event), *why = spell_lifecycle_detail(event, detail);
  deliver(opaque, domain, fmt::format(": {} {}", type, why), {{"type", type}, {"detail", why}});
  return 0;
}

void domain_rtc_change(virConnectPtr, virDomainPtr domain, long long utcoffset, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": {}", utcoffset), {{"utcoffset", utcoffset}});
}

void domain_watchdog(virConnectPtr, virDomainPtr domain, int action, void *opaque) noexcept {
  static constexpr const char *kActions[] = {"none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi"};
  const char *word = spell(kActions, action);
  deliver(opaque, domain, fmt::format(": {}", word), {{"action", word}});
}

void domain_io_error(virConnectPtr, virDomainPtr domain, const char *path, const char *alias, int action,
                     void *opaque) noexcept {
  const char *word = spell_io_error_action(action);
  deliver(opaque, domain, fmt::format(": {} ({}) {}", or_null(path), or_null(alias), word),
          {{"srcPath", value(path)}, {"devAlias", value(alias)}, {"action", word}});
}

void domain_io_error_reason(virConnectPtr, virDomainPtr domain, const char *path, const char *alias, int action,
                            const char *reason, void *opaque) noexcept {
  const char *word = spell_io_error_action(action);
  deliver(opaque, domain, fmt::format(": {} ({}) {} due to {}", or_null(path), or_null(alias), word, or_null(reason)),
          {{"srcPath", value(path)}, {"devAlias", value(alias)}, {"action", word}, {"reason", value(reason)}});
}

void domain_graphics(virConnectPtr, virDomainPtr domain, int phase, const virDomainEventGraphicsAddress *local,
                     const virDomainEventGraphicsAddress *remote, const char *auth_scheme,
                     const virDomainEventGraphicsSubject *subject, void *opaque) noexcept {
  static constexpr const char *kPhases[] = {"connect", "initialize", "disconnect"};
  const char *word = spell(kPhases, phase);
  std::string text =
      fmt::format(": {} local{} remote{} {}", word, address_text(local), address_text(remote), or_null(auth_scheme));
  Fields identities = Fields::array();
  for (int i = 0; i < subject->nidentity; i++) {
    const virDomainEventGraphicsSubjectIdentity &identity = subject->identities[i];
    text += fmt::format("\n\t{}={}", or_null(identity.type), or_null(identity.name));
    identities.push_back({{"type", value(identity.type)}, {"name", value(identity.name)}});
  }
  deliver(opaque, domain, text,
          {{"phase", word},
           {"local", address_fields(local)},
           {"remote", address_fields(remote)},
           {"authScheme", value(auth_scheme)},
           {"subject", identities}});
}

void domain_block_job(virConnectPtr, virDomainPtr domain, const char *disk, int type, int status,
                      void *opaque) noexcept {
  static constexpr const char *kTypes[] = {"Unknown job",  "Block Pull",          "Block Copy",
                                           "Block Commit", "Active Block Commit", "Backup"};
  static constexpr const char *kStatuses[] = {"completed", "failed", "canceled", "ready"};
  const char *job = spell(kTypes, type, "Unknown job"), *outcome = spell(kStatuses, status);
  deliver(opaque, domain, fmt::format(": {} for {} {}", job, or_null(disk), outcome),
          {{"disk", value(disk)}, {"type", job}, {"status", outcome}});
}

void domain_disk_change(virConnectPtr, virDomainPtr domain, const char *old_path, const char *new_path,
                        const char *alias, int reason, void *opaque) noexcept {
  static constexpr const char *kReasons[] = {"changed", "dropped"};
  const char *word = spell(kReasons, reason);
  deliver(
      opaque, domain, fmt::format(" disk {}: {} -> {}: {}", or_null(alias), or_null(old_path), or_null(new_path), word),
      {{"oldSrcPath", value(old_path)}, {"newSrcPath", value(new_path)}, {"devAlias", value(alias)}, {"reason", word}});
}

void domain_tray_change(virConnectPtr, virDomainPtr domain, const char *alias, int reason, void *opaque) noexcept {
  static constexpr const char *kReasons[] = {"opened", "closed"};
  const char *word = spell(kReasons, reason);
  deliver(opaque, domain, fmt::format(" disk {}: {}", or_null(alias), word),
          {{"devAlias", value(alias)}, {"reason", word}});
}

/* libvirt has named no reason yet, so virsh prints none. */
void domain_power_management(virConnectPtr, virDomainPtr domain, int, void *opaque) noexcept {
  deliver(opaque, domain, "");
}

void domain_balloon_change(virConnectPtr, virDomainPtr domain, unsigned long long actual, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": {}KiB", actual), {{"actual", actual}});
}

void domain_device(virConnectPtr, virDomainPtr domain, const char *alias, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": {}", or_null(alias)), {{"devAlias", value(alias)}});
}

void domain_parameters(virConnectPtr, virDomainPtr domain, virTypedParameterPtr params, int count,
                       void *opaque) noexcept {
  std::string text = ":";
  Fields fields = Fields::object();
  for (int i = 0; i < count; i++) {
    text += fmt::format("\n\t{}: {}", params[i].field, parameter_text(params[i]));
    fields[params[i].field] = parameter_value(params[i]);
  }
  deliver(opaque, domain, text, {{"params", fields}});
}

void domain_agent_lifecycle(virConnectPtr, virDomainPtr domain, int state, int reason, void *opaque) noexcept {
  static constexpr const char *kStates[] = {"unknown", "connected", "disconnected"};
  static constexpr const char *kReasons[] = {"unknown", "domain started", "channel event"};
  const char *is = spell(kStates, state, kUnsupported), *why = spell(kReasons, reason, kUnsupported);
  deliver(opaque, domain, fmt::format(": state: '{}' reason: '{}'", is, why), {{"state", is}, {"reason", why}});
}

void domain_migration_iteration(virConnectPtr, virDomainPtr domain, int iteration, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": iteration: '{}'", iteration), {{"iteration", iteration}});
}

void domain_metadata_change(virConnectPtr, virDomainPtr domain, int type, const char *nsuri, void *opaque) noexcept {
  static constexpr const char *kTypes[] = {"description", "title", "element"};
  const char *word = spell(kTypes, type, kUnsupported);
  deliver(opaque, domain, fmt::format(": type {}, uri {}", word, or_null(nsuri)),
          {{"type", word}, {"nsuri", value(nsuri)}});
}

void domain_block_threshold(virConnectPtr, virDomainPtr domain, const char *dev, const char *path,
                            unsigned long long threshold, unsigned long long excess, void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(": dev: {}({}) {} {}", or_null(dev), or_null(path), threshold, excess),
          {{"dev", value(dev)}, {"path", value(path)}, {"threshold", threshold}, {"excess", excess}});
}

#if LIBVIR_CHECK_VERSION(6, 9, 0)
void domain_memory_failure(virConnectPtr, virDomainPtr domain, int recipient, int action, unsigned flags,
                           void *opaque) noexcept {
  static constexpr const char *kRecipients[] = {"hypervisor", "guest"};
  static constexpr const char *kActions[] = {"ignore", "inject", "fatal", "reset"};
  const char *who = spell(kRecipients, recipient, kUnsupported), *what = spell(kActions, action, kUnsupported);
  bool required = (flags & VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED) != 0;
  bool recursive = (flags & VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE) != 0;
  deliver(opaque, domain,
          fmt::format(":\nrecipient: {}\naction: {}\nflags:\n\taction required: {:d}\n\trecursive: {:d}", who, what,
                      required, recursive),
          {{"recipient", who}, {"action", what}, {"flags", {{"action required", required}, {"recursive", recursive}}}});
}
#endif

#if LIBVIR_CHECK_VERSION(7, 9, 0)
void domain_memory_device_size_change(virConnectPtr, virDomainPtr domain, const char *alias, unsigned long long size,
                                      void *opaque) noexcept {
  deliver(opaque, domain, fmt::format(":\nalias: {}\nsize: {}", or_null(alias), size),
          {{"alias", value(alias)}, {"size", size}});
}
#endif

}  // namespace events::decode
