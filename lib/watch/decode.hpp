/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One function for each type of callback that libvirt has. Each is called by libvirt on the loop's thread, with a
 * Subscription as its opaque, turns its arguments into a Record and hands it to the subscription's sink.
 *
 * Values of enumerations are words, those that virsh prints, in text and fields alike; a number without a word is
 * "unknown" or "unsupported value", as in virsh. Fields have the names that libvirt's headers give to the callback's
 * parameters.
 *
 * The functions are noexcept: below them is libvirt's C, through which no exception may pass. */
#pragma once

#include <libvirt/libvirt.h>

namespace virt_uv::watch::decode {

void domain(virConnectPtr, virDomainPtr, void *opaque) noexcept;
/* The one type of callback that returns something: libvirt ignores it. */
int domain_lifecycle(virConnectPtr, virDomainPtr, int event, int detail, void *opaque) noexcept;
void domain_rtc_change(virConnectPtr, virDomainPtr, long long utcoffset, void *opaque) noexcept;
void domain_watchdog(virConnectPtr, virDomainPtr, int action, void *opaque) noexcept;
void domain_io_error(virConnectPtr, virDomainPtr, const char *path, const char *alias, int action,
                     void *opaque) noexcept;
void domain_io_error_reason(virConnectPtr, virDomainPtr, const char *path, const char *alias, int action,
                            const char *reason, void *opaque) noexcept;
void domain_graphics(virConnectPtr, virDomainPtr, int phase, const virDomainEventGraphicsAddress *local,
                     const virDomainEventGraphicsAddress *remote, const char *auth_scheme,
                     const virDomainEventGraphicsSubject *subject, void *opaque) noexcept;
void domain_block_job(virConnectPtr, virDomainPtr, const char *disk, int type, int status, void *opaque) noexcept;
void domain_disk_change(virConnectPtr, virDomainPtr, const char *old_path, const char *new_path, const char *alias,
                        int reason, void *opaque) noexcept;
void domain_tray_change(virConnectPtr, virDomainPtr, const char *alias, int reason, void *opaque) noexcept;
void domain_power_management(virConnectPtr, virDomainPtr, int reason, void *opaque) noexcept;
void domain_balloon_change(virConnectPtr, virDomainPtr, unsigned long long actual, void *opaque) noexcept;
void domain_device(virConnectPtr, virDomainPtr, const char *alias, void *opaque) noexcept;
void domain_parameters(virConnectPtr, virDomainPtr, virTypedParameterPtr params, int count, void *opaque) noexcept;
void domain_agent_lifecycle(virConnectPtr, virDomainPtr, int state, int reason, void *opaque) noexcept;
void domain_migration_iteration(virConnectPtr, virDomainPtr, int iteration, void *opaque) noexcept;
void domain_metadata_change(virConnectPtr, virDomainPtr, int type, const char *nsuri, void *opaque) noexcept;
void domain_block_threshold(virConnectPtr, virDomainPtr, const char *dev, const char *path,
                            unsigned long long threshold, unsigned long long excess, void *opaque) noexcept;
void domain_memory_failure(virConnectPtr, virDomainPtr, int recipient, int action, unsigned flags,
                           void *opaque) noexcept;
void domain_memory_device_size_change(virConnectPtr, virDomainPtr, const char *alias, unsigned long long size,
                                      void *opaque) noexcept;
#if LIBVIR_CHECK_VERSION(11, 2, 0)
void domain_nic_mac_change(virConnectPtr, virDomainPtr, const char *alias, const char *old_mac, const char *new_mac,
                           void *opaque) noexcept;
#endif
#if LIBVIR_CHECK_VERSION(12, 4, 0)
void domain_vcpu_removed(virConnectPtr, virDomainPtr, unsigned vcpu, void *opaque) noexcept;
void domain_channel_lifecycle(virConnectPtr, virDomainPtr, const char *channel, int state, int reason,
                              void *opaque) noexcept;
#endif

void network_lifecycle(virConnectPtr, virNetworkPtr, int event, int detail, void *opaque) noexcept;
#if LIBVIR_CHECK_VERSION(9, 8, 0)
void network_metadata_change(virConnectPtr, virNetworkPtr, int type, const char *nsuri, void *opaque) noexcept;
#endif
void pool_lifecycle(virConnectPtr, virStoragePoolPtr, int event, int detail, void *opaque) noexcept;
void pool(virConnectPtr, virStoragePoolPtr, void *opaque) noexcept;
void device_lifecycle(virConnectPtr, virNodeDevicePtr, int event, int detail, void *opaque) noexcept;
void device(virConnectPtr, virNodeDevicePtr, void *opaque) noexcept;
void secret_lifecycle(virConnectPtr, virSecretPtr, int event, int detail, void *opaque) noexcept;
void secret(virConnectPtr, virSecretPtr, void *opaque) noexcept;

}  // namespace virt_uv::watch::decode
