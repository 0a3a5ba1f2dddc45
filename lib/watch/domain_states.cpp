/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain_states.hpp"

#include <fmt/format.h>
#include <libvirt/virterror.h>

#include "values.hpp"
#include "words.hpp"

namespace virt_uv::watch {
namespace {

const char *state_word(int state) {
  static constexpr const char *kStates[] = {"no state",    "running",  "idle",    "paused",
                                            "in shutdown", "shut off", "crashed", "pmsuspended"};
  return word_for(kStates, state, "no state");
}

const char *reason_word(int state, int reason) {
  static constexpr const char *kRunning[] = {"unknown",       "booted",   "migrated",           "restored",
                                             "from snapshot", "unpaused", "migration canceled", "save canceled",
                                             "event wakeup",  "crashed",  "post-copy",          "post-copy failed"};
  static constexpr const char *kPaused[] = {
      "unknown",   "user",        "migrating",     "saving",           "dumping",
      "I/O error", "watchdog",    "from snapshot", "shutting down",    "creating snapshot",
      "crashed",   "starting up", "post-copy",     "post-copy failed", "api error"};
  static constexpr const char *kShutdown[] = {"unknown", "user"};
  static constexpr const char *kShutoff[] = {"unknown", "shutdown", "destroyed",     "crashed", "migrated",
                                             "saved",   "failed",   "from snapshot", "daemon"};
  static constexpr const char *kCrashed[] = {"unknown", "panicked"};
  switch (state) {
    case VIR_DOMAIN_RUNNING:
      return word_for(kRunning, reason);
    case VIR_DOMAIN_PAUSED:
      return word_for(kPaused, reason);
    case VIR_DOMAIN_SHUTDOWN:
      return word_for(kShutdown, reason);
    case VIR_DOMAIN_SHUTOFF:
      return word_for(kShutoff, reason);
    case VIR_DOMAIN_CRASHED:
      return word_for(kCrashed, reason);
    default:
      return "unknown";
  }
}

Record describe(virDomainPtr domain, int state, int reason) {
  const char *name = virDomainGetName(domain);
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(domain, uuid);
  unsigned id = virDomainGetID(domain);
  bool has_id = id != static_cast<unsigned>(-1);
  const char *now = state_word(state), *why = reason_word(state, reason);
  return {"state",
          fmt::format("state of domain '{}': {} ({})", shown(name), now, why),
          {{"domain", string(name)},
           {"uuid", uuid},
           {"id", has_id ? Fields(id) : Fields()},
           {"state", now},
           {"reason", why}}};
}

/* One call for all domains, where the driver has it. */
bool list_by_statistics(virConnectPtr connection, std::vector<Record> &ret) {
  virDomainStatsRecordPtr *list = nullptr;
  int count = virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_STATE, &list, 0);
  if (count < 0) return false;
  for (int i = 0; i < count; i++) {
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    virTypedParamsGetInt(list[i]->params, list[i]->nparams, "state.state", &state);
    virTypedParamsGetInt(list[i]->params, list[i]->nparams, "state.reason", &reason);
    ret.push_back(describe(list[i]->dom, state, reason));
  }
  virDomainStatsRecordListFree(list);
  return true;
}

/* A domain that goes while the others are asked has an event that says so. */
bool list_one_by_one(virConnectPtr connection, std::vector<Record> &ret) {
  virDomainPtr *list = nullptr;
  int count = virConnectListAllDomains(connection, &list, 0);
  if (count < 0) return false;
  for (int i = 0; i < count; i++) {
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (virDomainGetState(list[i], &state, &reason, 0) == 0) ret.push_back(describe(list[i], state, reason));
    virDomainFree(list[i]);
  }
  free(list);
  return true;
}

}  // namespace

bool list_domain_states(virConnectPtr connection, std::vector<Record> &ret) {
  if (list_by_statistics(connection, ret)) return true;
  return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT && list_one_by_one(connection, ret);
}

}  // namespace virt_uv::watch
