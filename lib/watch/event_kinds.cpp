/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "event_kinds.hpp"

#include <cstring>

#include "decode.hpp"

namespace virt_uv::watch {
namespace {

/* `Callback` is the type that libvirt documents for this id: the compiler then refuses a decoder of another type. */
template <typename Callback>
EventKind kind(Family family, const char *name, int id, Callback callback) {
  return {name, family, id, reinterpret_cast<void (*)()>(callback)};
}

template <typename Callback>
EventKind domain(const char *name, int id, Callback callback) {
  return kind<Callback>(Family::kDomain, name, id, callback);
}

/* The kinds that are not in every release that this can be built with. */
struct NewKind {
  unsigned long since; /* as LIBVIR_VERSION_NUMBER */
  const char *name;
};

constexpr NewKind kNewKinds[] = {
    {9008000, "network-metadata-change"},
    {11002000, "nic-mac-change"},
    {12004000, "vcpu-removed"},
    {12004000, "channel-lifecycle"},
};

}  // namespace

/* Never destroyed: a thread may be waiting for a host while the process exits. */
const std::vector<EventKind> &all_event_kinds() {
  static const std::vector<EventKind> &kKinds = *new std::vector<EventKind> {
    domain<virConnectDomainEventCallback>("lifecycle", VIR_DOMAIN_EVENT_ID_LIFECYCLE, decode::domain_lifecycle),
        domain<virConnectDomainEventGenericCallback>("reboot", VIR_DOMAIN_EVENT_ID_REBOOT, decode::domain),
        domain<virConnectDomainEventRTCChangeCallback>("rtc-change", VIR_DOMAIN_EVENT_ID_RTC_CHANGE,
                                                       decode::domain_rtc_change),
        domain<virConnectDomainEventWatchdogCallback>("watchdog", VIR_DOMAIN_EVENT_ID_WATCHDOG,
                                                      decode::domain_watchdog),
        domain<virConnectDomainEventIOErrorCallback>("io-error", VIR_DOMAIN_EVENT_ID_IO_ERROR, decode::domain_io_error),
        domain<virConnectDomainEventGraphicsCallback>("graphics", VIR_DOMAIN_EVENT_ID_GRAPHICS,
                                                      decode::domain_graphics),
        domain<virConnectDomainEventIOErrorReasonCallback>("io-error-reason", VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
                                                           decode::domain_io_error_reason),
        domain<virConnectDomainEventGenericCallback>("control-error", VIR_DOMAIN_EVENT_ID_CONTROL_ERROR,
                                                     decode::domain),
        domain<virConnectDomainEventBlockJobCallback>("block-job", VIR_DOMAIN_EVENT_ID_BLOCK_JOB,
                                                      decode::domain_block_job),
        domain<virConnectDomainEventDiskChangeCallback>("disk-change", VIR_DOMAIN_EVENT_ID_DISK_CHANGE,
                                                        decode::domain_disk_change),
        domain<virConnectDomainEventTrayChangeCallback>("tray-change", VIR_DOMAIN_EVENT_ID_TRAY_CHANGE,
                                                        decode::domain_tray_change),
        domain<virConnectDomainEventPMWakeupCallback>("pm-wakeup", VIR_DOMAIN_EVENT_ID_PMWAKEUP,
                                                      decode::domain_power_management),
        domain<virConnectDomainEventPMSuspendCallback>("pm-suspend", VIR_DOMAIN_EVENT_ID_PMSUSPEND,
                                                       decode::domain_power_management),
        domain<virConnectDomainEventBalloonChangeCallback>("balloon-change", VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
                                                           decode::domain_balloon_change),
        domain<virConnectDomainEventPMSuspendDiskCallback>("pm-suspend-disk", VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK,
                                                           decode::domain_power_management),
        domain<virConnectDomainEventDeviceRemovedCallback>("device-removed", VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                                                           decode::domain_device),
        domain<virConnectDomainEventBlockJobCallback>("block-job-2", VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
                                                      decode::domain_block_job),
        domain<virConnectDomainEventTunableCallback>("tunable", VIR_DOMAIN_EVENT_ID_TUNABLE, decode::domain_parameters),
        domain<virConnectDomainEventAgentLifecycleCallback>("agent-lifecycle", VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                                                            decode::domain_agent_lifecycle),
        domain<virConnectDomainEventDeviceAddedCallback>("device-added", VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
                                                         decode::domain_device),
        domain<virConnectDomainEventMigrationIterationCallback>(
            "migration-iteration", VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, decode::domain_migration_iteration),
        domain<virConnectDomainEventJobCompletedCallback>("job-completed", VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
                                                          decode::domain_parameters),
        domain<virConnectDomainEventDeviceRemovalFailedCallback>(
            "device-removal-failed", VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, decode::domain_device),
        domain<virConnectDomainEventMetadataChangeCallback>("metadata-change", VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                                                            decode::domain_metadata_change),
        domain<virConnectDomainEventBlockThresholdCallback>("block-threshold", VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
                                                            decode::domain_block_threshold),
#if LIBVIR_CHECK_VERSION(6, 9, 0)
        domain<virConnectDomainEventMemoryFailureCallback>("memory-failure", VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE,
                                                           decode::domain_memory_failure),
#endif
#if LIBVIR_CHECK_VERSION(7, 9, 0)
        domain<virConnectDomainEventMemoryDeviceSizeChangeCallback>("memory-device-size-change",
                                                                    VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE,
                                                                    decode::domain_memory_device_size_change),
#endif
#if LIBVIR_CHECK_VERSION(11, 2, 0)
        domain<virConnectDomainEventNICMACChangeCallback>("nic-mac-change", VIR_DOMAIN_EVENT_ID_NIC_MAC_CHANGE,
                                                          decode::domain_nic_mac_change),
#endif
#if LIBVIR_CHECK_VERSION(12, 4, 0)
        domain<virConnectDomainEventVcpuRemovedCallback>("vcpu-removed", VIR_DOMAIN_EVENT_ID_VCPU_REMOVED,
                                                         decode::domain_vcpu_removed),
        domain<virConnectDomainEventChannelLifecycleCallback>(
            "channel-lifecycle", VIR_DOMAIN_EVENT_ID_CHANNEL_LIFECYCLE, decode::domain_channel_lifecycle),
#endif
        kind<virConnectNetworkEventLifecycleCallback>(Family::kNetwork, "network-lifecycle",
                                                      VIR_NETWORK_EVENT_ID_LIFECYCLE, decode::network_lifecycle),
#if LIBVIR_CHECK_VERSION(9, 8, 0)
        kind<virConnectNetworkEventMetadataChangeCallback>(Family::kNetwork, "network-metadata-change",
                                                           VIR_NETWORK_EVENT_ID_METADATA_CHANGE,
                                                           decode::network_metadata_change),
#endif
        kind<virConnectStoragePoolEventLifecycleCallback>(Family::kStoragePool, "pool-lifecycle",
                                                          VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, decode::pool_lifecycle),
        kind<virConnectStoragePoolEventGenericCallback>(Family::kStoragePool, "pool-refresh",
                                                        VIR_STORAGE_POOL_EVENT_ID_REFRESH, decode::pool),
        kind<virConnectNodeDeviceEventLifecycleCallback>(Family::kNodeDevice, "nodedev-lifecycle",
                                                         VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE, decode::device_lifecycle),
        kind<virConnectNodeDeviceEventGenericCallback>(Family::kNodeDevice, "nodedev-update",
                                                       VIR_NODE_DEVICE_EVENT_ID_UPDATE, decode::device),
        kind<virConnectSecretEventLifecycleCallback>(Family::kSecret, "secret-lifecycle", VIR_SECRET_EVENT_ID_LIFECYCLE,
                                                     decode::secret_lifecycle),
        kind<virConnectSecretEventGenericCallback>(Family::kSecret, "secret-value-changed",
                                                   VIR_SECRET_EVENT_ID_VALUE_CHANGED, decode::secret),
  };
  return kKinds;
}

const EventKind *find_event_kind(std::string_view name) {
  for (const EventKind &kind : all_event_kinds())
    if (name == kind.name) return &kind;
  return nullptr;
}

std::vector<std::string> undecoded_kinds(unsigned long running) {
  std::vector<std::string> names;
  for (const NewKind &kind : kNewKinds)
    if (kind.since > LIBVIR_VERSION_NUMBER && kind.since <= running) names.emplace_back(kind.name);
  return names;
}

std::string_view virsh_name(const EventKind &kind) {
  return kind.family == Family::kDomain ? kind.name : std::strchr(kind.name, '-') + 1;
}

}  // namespace virt_uv::watch
