/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every event that libvirt can deliver, with every value that it can carry, and some that it can't: most kinds come
 * from a real hypervisor only, and rarely. This object is preloaded (LD_PRELOAD) into virsh and into virt-uv-events; it
 * takes the place of libvirt's registration functions and, once the last domain event (or the one of another family) is
 * registered, calls the callbacks that were handed in, from a timeout of the event loop, as libvirt does. What the two
 * programs then print must be the same.
 *
 * The last event is an rtc-change of SENTINEL seconds for a domain, and nothing for the other families: their runs
 * end with as many lines as there are events.
 *
 * The objects that events are about are those of test:///default; secrets, which that driver has none of, are made up
 * and answer to the two functions that programs ask of them. */
#define VIR_ENUM_SENTINELS /* for VIR_DOMAIN_EVENT_ID_LAST */
#include <libvirt/libvirt.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace {

constexpr long long kSentinel = 424242;

struct Registration {
  void (*callback)();
  void *opaque;
  virFreeCallback ff;
};

std::array<Registration, VIR_DOMAIN_EVENT_ID_LAST> domain_registrations{};
std::mutex mutex;
virConnectPtr connection;

/* The object that stands for any secret: never looked into. */
int secret_stand_in;
virSecretPtr any_secret() { return reinterpret_cast<virSecretPtr>(&secret_stand_in); }

template <typename Callback, typename... Arguments>
void deliver(const Registration &to, Arguments... arguments) {
  if (to.callback != nullptr) reinterpret_cast<Callback>(to.callback)(connection, arguments..., to.opaque);
}

template <typename Callback, typename... Arguments>
void deliver(int id, Arguments... arguments) {
  deliver<Callback>(domain_registrations[id], arguments...);
}

void emit_lifecycle(virDomainPtr domain) {
  for (int event = 0; event <= VIR_DOMAIN_EVENT_CRASHED + 1; event++)
    for (int detail = -1; detail <= 10; detail++)
      deliver<virConnectDomainEventCallback>(VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain, event, detail);
}

void emit_generic(virDomainPtr domain) {
  for (int id : {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_ID_CONTROL_ERROR})
    deliver<virConnectDomainEventGenericCallback>(id, domain);
  for (int id : {VIR_DOMAIN_EVENT_ID_PMWAKEUP, VIR_DOMAIN_EVENT_ID_PMSUSPEND, VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK})
    deliver<virConnectDomainEventPMSuspendCallback>(id, domain, 0);
}

void emit_numbers(virDomainPtr domain) {
  for (long long offset : {0LL, -3600LL, 9223372036854775807LL})
    deliver<virConnectDomainEventRTCChangeCallback>(VIR_DOMAIN_EVENT_ID_RTC_CHANGE, domain, offset);
  for (unsigned long long actual : {0ULL, 1048576ULL, 18446744073709551615ULL})
    deliver<virConnectDomainEventBalloonChangeCallback>(VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, domain, actual);
  for (int iteration : {-1, 0, 7})
    deliver<virConnectDomainEventMigrationIterationCallback>(VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, domain,
                                                             iteration);
  for (unsigned long long size : {0ULL, 18446744073709551615ULL})
    deliver<virConnectDomainEventMemoryDeviceSizeChangeCallback>(VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, domain,
                                                                 "virtiomem0", size);
  for (const char *path : {"/var/a b", static_cast<const char *>(nullptr)})
    deliver<virConnectDomainEventBlockThresholdCallback>(VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, domain, "vda[1]", path,
                                                         100ULL, 18446744073709551615ULL);
}

void emit_errors(virDomainPtr domain) {
  for (int action = -1; action <= 8; action++) {
    deliver<virConnectDomainEventWatchdogCallback>(VIR_DOMAIN_EVENT_ID_WATCHDOG, domain, action);
    deliver<virConnectDomainEventIOErrorCallback>(VIR_DOMAIN_EVENT_ID_IO_ERROR, domain, "/disk", "virtio-disk0",
                                                  action);
    deliver<virConnectDomainEventIOErrorReasonCallback>(VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, domain, "/disk",
                                                        "virtio-disk0", action, "enospc");
  }
  for (int recipient = -1; recipient <= 3; recipient++)
    for (int action = -1; action <= 5; action++)
      for (unsigned flags = 0; flags < 5; flags++)
        deliver<virConnectDomainEventMemoryFailureCallback>(VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE, domain, recipient,
                                                            action, flags);
}

void emit_graphics(virDomainPtr domain) {
  char type[] = "x509dname", name[] = "CN=someone", type2[] = "saslUsername", name2[] = "joe";
  virDomainEventGraphicsSubjectIdentity identities[] = {{type, name}, {type2, name2}};
  char node[] = "::1", service[] = "5900";
  for (int phase = -1; phase <= 3; phase++) {
    for (int family = -1; family <= 3; family++) {
      virDomainEventGraphicsAddress address = {family, node, service};
      virDomainEventGraphicsSubject subject = {phase < 0 ? 0 : phase % 3, identities};
      deliver<virConnectDomainEventGraphicsCallback>(VIR_DOMAIN_EVENT_ID_GRAPHICS, domain, phase, &address, &address,
                                                     "sasl", &subject);
    }
  }
}

void emit_disks(virDomainPtr domain) {
  for (int type = -1; type <= 6; type++) {
    for (int status = -1; status <= 5; status++) {
      deliver<virConnectDomainEventBlockJobCallback>(VIR_DOMAIN_EVENT_ID_BLOCK_JOB, domain, "/a", type, status);
      deliver<virConnectDomainEventBlockJobCallback>(VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, domain, "vda", type, status);
    }
  }
  for (int reason = -1; reason <= 3; reason++) {
    deliver<virConnectDomainEventDiskChangeCallback>(VIR_DOMAIN_EVENT_ID_DISK_CHANGE, domain, nullptr, "/new", "hda",
                                                     reason);
    deliver<virConnectDomainEventDiskChangeCallback>(VIR_DOMAIN_EVENT_ID_DISK_CHANGE, domain, "/old", nullptr, "hda",
                                                     reason);
    deliver<virConnectDomainEventTrayChangeCallback>(VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, domain, "hda", reason);
  }
}

void emit_devices(virDomainPtr domain) {
  for (int id : {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                 VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED})
    deliver<virConnectDomainEventDeviceAddedCallback>(id, domain, "net0");
}

void emit_states(virDomainPtr domain) {
  for (int state = -1; state <= 4; state++)
    for (int reason = -1; reason <= 4; reason++)
      deliver<virConnectDomainEventAgentLifecycleCallback>(VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, domain, state, reason);
  for (int type = -1; type <= 4; type++)
    for (const char *uri : {"http://example.com/ns", static_cast<const char *>(nullptr)})
      deliver<virConnectDomainEventMetadataChangeCallback>(VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, domain, type, uri);
}

void emit_newer(virDomainPtr domain) {
  (void)domain;
#if LIBVIR_CHECK_VERSION(11, 2, 0)
  deliver<virConnectDomainEventNICMACChangeCallback>(VIR_DOMAIN_EVENT_ID_NIC_MAC_CHANGE, domain, "net0",
                                                     "52:54:00:00:00:01", "52:54:00:00:00:02");
#endif
#if LIBVIR_CHECK_VERSION(12, 4, 0)
  deliver<virConnectDomainEventVcpuRemovedCallback>(VIR_DOMAIN_EVENT_ID_VCPU_REMOVED, domain, 3U);
  for (int state = -1; state <= 4; state++)
    for (int reason = -1; reason <= 4; reason++)
      deliver<virConnectDomainEventChannelLifecycleCallback>(VIR_DOMAIN_EVENT_ID_CHANNEL_LIFECYCLE, domain,
                                                             "org.example.0", state, reason);
#endif
}

/* One parameter of every type, and of a type that does not exist. */
void emit_parameters(virDomainPtr domain) {
  virTypedParameterPtr list = nullptr;
  int count = 0, max = 0;
  virTypedParamsAddInt(&list, &count, &max, "int", -5);
  virTypedParamsAddUInt(&list, &count, &max, "uint", 4294967295U);
  virTypedParamsAddLLong(&list, &count, &max, "llong", -9223372036854775807LL);
  virTypedParamsAddULLong(&list, &count, &max, "ullong", 18446744073709551615ULL);
  virTypedParamsAddDouble(&list, &count, &max, "double", 0.1);
  virTypedParamsAddDouble(&list, &count, &max, "large", 1234567890123.5);
  virTypedParamsAddBoolean(&list, &count, &max, "yes", 1);
  virTypedParamsAddBoolean(&list, &count, &max, "no", 0);
  virTypedParamsAddString(&list, &count, &max, "string", "a string: with \"quotes\"");
  for (int shown = 0; shown <= count; shown++) {
    deliver<virConnectDomainEventTunableCallback>(VIR_DOMAIN_EVENT_ID_TUNABLE, domain, list, shown);
    deliver<virConnectDomainEventJobCompletedCallback>(VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, domain, list, shown);
  }
  virTypedParamsFree(list, count);
}

void emit_repeated_parameters(virDomainPtr domain) {
  virTypedParameterPtr list = nullptr;
  int count = 0, max = 0;
  for (const char *disk : {"vda", "vdb", "vdc"}) virTypedParamsAddString(&list, &count, &max, "disk", disk);
  virTypedParamsAddInt(&list, &count, &max, "number", 1);
  deliver<virConnectDomainEventJobCompletedCallback>(VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, domain, list, count);
  virTypedParamsFree(list, count);
}

/* virsh prints these as they are: virt-uv-events alone gets them, which says so by VIRT_UV_HOSTILE. */
void emit_hostile_strings(virDomainPtr domain) {
  if (std::getenv("VIRT_UV_HOSTILE") == nullptr) return;
  deliver<virConnectDomainEventMetadataChangeCallback>(VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, domain, 2,
                                                       "http://evil/\n2026-01-01 forged\x1b[31m\x7f\xc2\x9b");
  for (const char *path : {"/a\xff", "/a\xfe"})
    deliver<virConnectDomainEventDiskChangeCallback>(VIR_DOMAIN_EVENT_ID_DISK_CHANGE, domain, "/old", path, "hda", 0);
}

void emit_domain_events(int timer, void *) {
  virEventRemoveTimeout(timer);
  std::lock_guard<std::mutex> guard(mutex);
  virDomainPtr domain = virDomainLookupByName(connection, "test");
  for (auto emit : {emit_lifecycle, emit_generic, emit_numbers, emit_errors, emit_graphics, emit_disks, emit_devices,
                    emit_states, emit_newer, emit_parameters, emit_repeated_parameters, emit_hostile_strings})
    emit(domain);
  deliver<virConnectDomainEventRTCChangeCallback>(VIR_DOMAIN_EVENT_ID_RTC_CHANGE, domain, kSentinel);
  virDomainFree(domain);
}

/* One event of another family, and how it is delivered. */
struct OtherEvent {
  Registration registration;
  int id;
  void (*emit)(const OtherEvent &);
};

void emit_other(int timer, void *opaque) {
  virEventRemoveTimeout(timer);
  const OtherEvent &event = *static_cast<OtherEvent *>(opaque);
  event.emit(event);
}

void emit_network(const OtherEvent &event) {
  virNetworkPtr network = virNetworkLookupByName(connection, "default");
#if LIBVIR_CHECK_VERSION(9, 8, 0)
  if (event.id == VIR_NETWORK_EVENT_ID_METADATA_CHANGE)
    for (int type = -1; type <= 4; type++)
      for (const char *uri : {"http://example.com/ns", static_cast<const char *>(nullptr)})
        deliver<virConnectNetworkEventMetadataChangeCallback>(event.registration, network, type, uri);
  else
#endif
    for (int type = -1; type <= 5; type++)
      deliver<virConnectNetworkEventLifecycleCallback>(event.registration, network, type, 0);
  virNetworkFree(network);
}

void emit_pool(const OtherEvent &event) {
  virStoragePoolPtr pool = virStoragePoolLookupByName(connection, "default-pool");
  if (event.id == VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE)
    for (int type = -1; type <= 7; type++)
      deliver<virConnectStoragePoolEventLifecycleCallback>(event.registration, pool, type, 0);
  else
    deliver<virConnectStoragePoolEventGenericCallback>(event.registration, pool);
  virStoragePoolFree(pool);
}

void emit_device(const OtherEvent &event) {
  virNodeDevicePtr device = virNodeDeviceLookupByName(connection, "computer");
  if (event.id == VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE)
    for (int type = -1; type <= 5; type++)
      deliver<virConnectNodeDeviceEventLifecycleCallback>(event.registration, device, type, 0);
  else
    deliver<virConnectNodeDeviceEventGenericCallback>(event.registration, device);
  virNodeDeviceFree(device);
}

void emit_secret(const OtherEvent &event) {
  if (event.id == VIR_SECRET_EVENT_ID_LIFECYCLE)
    for (int type = -1; type <= 3; type++)
      deliver<virConnectSecretEventLifecycleCallback>(event.registration, any_secret(), type, 0);
  else
    deliver<virConnectSecretEventGenericCallback>(event.registration, any_secret());
}

template <typename Callback>
int register_other(virConnectPtr to, int id, Callback callback, void *opaque, virFreeCallback ff,
                   void (*emit)(const OtherEvent &)) {
  std::lock_guard<std::mutex> guard(mutex);
  connection = to;
  auto *event = new OtherEvent{{reinterpret_cast<void (*)()>(callback), opaque, ff}, id, emit};
  virEventAddTimeout(0, emit_other, event, [](void *gone) { delete static_cast<OtherEvent *>(gone); });
  return id + 1;
}

}  // namespace

extern "C" {

int virConnectDomainEventRegisterAny(virConnectPtr to, virDomainPtr, int id,
                                     virConnectDomainEventGenericCallback callback, void *opaque, virFreeCallback ff) {
  std::lock_guard<std::mutex> guard(mutex);
  connection = to;
  domain_registrations[id] = {reinterpret_cast<void (*)()>(callback), opaque, ff};
  if (id == VIR_DOMAIN_EVENT_ID_LAST - 1) virEventAddTimeout(0, emit_domain_events, nullptr, nullptr);
  return id + 1;
}

int virConnectNetworkEventRegisterAny(virConnectPtr to, virNetworkPtr, int id,
                                      virConnectNetworkEventGenericCallback callback, void *opaque,
                                      virFreeCallback ff) {
  return register_other(to, id, callback, opaque, ff, emit_network);
}

int virConnectStoragePoolEventRegisterAny(virConnectPtr to, virStoragePoolPtr, int id,
                                          virConnectStoragePoolEventGenericCallback callback, void *opaque,
                                          virFreeCallback ff) {
  return register_other(to, id, callback, opaque, ff, emit_pool);
}

int virConnectNodeDeviceEventRegisterAny(virConnectPtr to, virNodeDevicePtr, int id,
                                         virConnectNodeDeviceEventGenericCallback callback, void *opaque,
                                         virFreeCallback ff) {
  return register_other(to, id, callback, opaque, ff, emit_device);
}

int virConnectSecretEventRegisterAny(virConnectPtr to, virSecretPtr, int id,
                                     virConnectSecretEventGenericCallback callback, void *opaque, virFreeCallback ff) {
  return register_other(to, id, callback, opaque, ff, emit_secret);
}

int virConnectDomainEventDeregisterAny(virConnectPtr, int) { return 0; }
int virConnectNetworkEventDeregisterAny(virConnectPtr, int) { return 0; }
int virConnectStoragePoolEventDeregisterAny(virConnectPtr, int) { return 0; }
int virConnectNodeDeviceEventDeregisterAny(virConnectPtr, int) { return 0; }
int virConnectSecretEventDeregisterAny(virConnectPtr, int) { return 0; }

int virSecretGetUUIDString(virSecretPtr, char *buffer) {
  std::strcpy(buffer, "11111111-2222-3333-4444-555555555555");
  return 0;
}
}
