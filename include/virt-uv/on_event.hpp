/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * libvirt's events with closures: of domains, networks, storage pools, node devices and secrets, of every kind.
 *
 *     auto lifecycle = virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(
 *         conn, nullptr, [](virConnectPtr, virDomainPtr domain, int event, int detail) { ... });
 *
 * The kind is libvirt's own constant, and decides what the closure is called with: the arguments of libvirt's callback
 * for it, without the opaque. They are libvirt's, and valid for the call only. A lifecycle callback's result, which
 * libvirt does not look at, is 0.
 *
 * The closure is called on the loop's thread, and destroyed there once: after it has been deregistered, and its last
 * call has returned. If registering fails, it is destroyed at once. An exception that it throws is logged, and counted
 * in virt_uv_stats. */
#ifndef VIRT_UV_ON_EVENT_HPP
#define VIRT_UV_ON_EVENT_HPP

#include <cstddef>
#include <memory>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include <libvirt/virterror.h>

#include <virt-uv/client.hpp>
#include <virt-uv/error.hpp>
#include <virt-uv/event_impl.hpp>

namespace virt_uv {

/** An event that is registered with libvirt. Deregisters it in the destructor. Move-only.
 *
 * It keeps a reference to its connection, so the connection is open as long. Deregistering asks a remote host and waits
 * for the answer: not on the loop's thread, where everything else would wait too. */
class EventRegistration {
 public:
  /** libvirt's function for it. */
  using Deregister = int (*)(virConnectPtr conn, int id);

  /** Nothing is registered. */
  EventRegistration() = default;

  /** Takes over the registration `id` of `conn`, and takes a reference to `conn`. */
  EventRegistration(virConnectPtr conn, int id, Deregister deregister) noexcept
      : conn_(conn), id_(id), deregister_(deregister) {
    virConnectRef(conn);
  }

  /** Takes over what `other` has. */
  EventRegistration(EventRegistration &&other) noexcept
      : conn_(std::exchange(other.conn_, nullptr)), id_(other.id_), deregister_(other.deregister_) {}

  /** Deregisters what it has, and takes over what `other` has. */
  EventRegistration &operator=(EventRegistration &&other) noexcept {
    if (this != &other) {
      reset();
      conn_ = std::exchange(other.conn_, nullptr);
      id_ = other.id_;
      deregister_ = other.deregister_;
    }
    return *this;
  }

  ~EventRegistration() { reset(); }

  /** Is something registered? */
  explicit operator bool() const noexcept { return conn_ != nullptr; }

  /** Deregisters it, and gives the connection back. Any thread. An error is ignored: the connection is lost then, and
   * with it the registration. */
  void reset() noexcept {
    if (conn_ == nullptr) return;
    deregister_(conn_, id_);
    virConnectClose(std::exchange(conn_, nullptr));
  }

 private:
  virConnectPtr conn_ = nullptr;
  int id_ = -1;
  Deregister deregister_ = nullptr;
};

namespace detail {

/** The type of libvirt's callback for a kind. A kind that is not here is newer than this header. */
template <int id>
struct DomainEvent;
template <int id>
struct NetworkEvent;
template <int id>
struct StoragePoolEvent;
template <int id>
struct NodeDeviceEvent;
template <int id>
struct SecretEvent;

#define VIRT_UV_EVENT_(Family, ID, CALLBACK) \
  template <>                                \
  struct Family<ID> {                        \
    using Callback = CALLBACK;               \
  };
#define VIRT_UV_DOMAIN_EVENT_(ID, CALLBACK) \
  VIRT_UV_EVENT_(DomainEvent, VIR_DOMAIN_EVENT_ID_##ID, virConnectDomainEvent##CALLBACK)
VIRT_UV_DOMAIN_EVENT_(LIFECYCLE, Callback)
VIRT_UV_DOMAIN_EVENT_(REBOOT, GenericCallback)
VIRT_UV_DOMAIN_EVENT_(RTC_CHANGE, RTCChangeCallback)
VIRT_UV_DOMAIN_EVENT_(WATCHDOG, WatchdogCallback)
VIRT_UV_DOMAIN_EVENT_(IO_ERROR, IOErrorCallback)
VIRT_UV_DOMAIN_EVENT_(GRAPHICS, GraphicsCallback)
VIRT_UV_DOMAIN_EVENT_(IO_ERROR_REASON, IOErrorReasonCallback)
VIRT_UV_DOMAIN_EVENT_(CONTROL_ERROR, GenericCallback)
VIRT_UV_DOMAIN_EVENT_(BLOCK_JOB, BlockJobCallback)
VIRT_UV_DOMAIN_EVENT_(DISK_CHANGE, DiskChangeCallback)
VIRT_UV_DOMAIN_EVENT_(TRAY_CHANGE, TrayChangeCallback)
VIRT_UV_DOMAIN_EVENT_(PMWAKEUP, PMWakeupCallback)
VIRT_UV_DOMAIN_EVENT_(PMSUSPEND, PMSuspendCallback)
VIRT_UV_DOMAIN_EVENT_(BALLOON_CHANGE, BalloonChangeCallback)
VIRT_UV_DOMAIN_EVENT_(PMSUSPEND_DISK, PMSuspendDiskCallback)
VIRT_UV_DOMAIN_EVENT_(DEVICE_REMOVED, DeviceRemovedCallback)
VIRT_UV_DOMAIN_EVENT_(BLOCK_JOB_2, BlockJobCallback)
VIRT_UV_DOMAIN_EVENT_(TUNABLE, TunableCallback)
VIRT_UV_DOMAIN_EVENT_(AGENT_LIFECYCLE, AgentLifecycleCallback)
VIRT_UV_DOMAIN_EVENT_(DEVICE_ADDED, DeviceAddedCallback)
VIRT_UV_DOMAIN_EVENT_(MIGRATION_ITERATION, MigrationIterationCallback)
VIRT_UV_DOMAIN_EVENT_(JOB_COMPLETED, JobCompletedCallback)
VIRT_UV_DOMAIN_EVENT_(DEVICE_REMOVAL_FAILED, DeviceRemovalFailedCallback)
VIRT_UV_DOMAIN_EVENT_(METADATA_CHANGE, MetadataChangeCallback)
VIRT_UV_DOMAIN_EVENT_(BLOCK_THRESHOLD, BlockThresholdCallback)
#if LIBVIR_VERSION_NUMBER >= 6009000
VIRT_UV_DOMAIN_EVENT_(MEMORY_FAILURE, MemoryFailureCallback)
#endif
#if LIBVIR_VERSION_NUMBER >= 7009000
VIRT_UV_DOMAIN_EVENT_(MEMORY_DEVICE_SIZE_CHANGE, MemoryDeviceSizeChangeCallback)
#endif
#if LIBVIR_VERSION_NUMBER >= 11002000
VIRT_UV_DOMAIN_EVENT_(NIC_MAC_CHANGE, NICMACChangeCallback)
#endif
VIRT_UV_EVENT_(NetworkEvent, VIR_NETWORK_EVENT_ID_LIFECYCLE, virConnectNetworkEventLifecycleCallback)
#if LIBVIR_VERSION_NUMBER >= 9008000
VIRT_UV_EVENT_(NetworkEvent, VIR_NETWORK_EVENT_ID_METADATA_CHANGE, virConnectNetworkEventMetadataChangeCallback)
#endif
VIRT_UV_EVENT_(StoragePoolEvent, VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, virConnectStoragePoolEventLifecycleCallback)
VIRT_UV_EVENT_(StoragePoolEvent, VIR_STORAGE_POOL_EVENT_ID_REFRESH, virConnectStoragePoolEventGenericCallback)
VIRT_UV_EVENT_(NodeDeviceEvent, VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE, virConnectNodeDeviceEventLifecycleCallback)
VIRT_UV_EVENT_(NodeDeviceEvent, VIR_NODE_DEVICE_EVENT_ID_UPDATE, virConnectNodeDeviceEventGenericCallback)
VIRT_UV_EVENT_(SecretEvent, VIR_SECRET_EVENT_ID_LIFECYCLE, virConnectSecretEventLifecycleCallback)
VIRT_UV_EVENT_(SecretEvent, VIR_SECRET_EVENT_ID_VALUE_CHANGED, virConnectSecretEventGenericCallback)
#undef VIRT_UV_DOMAIN_EVENT_
#undef VIRT_UV_EVENT_

/** Calls a closure as a callback of libvirt's, whose last argument is its opaque. */
template <typename Callback>
struct EventCall;

template <typename Result, typename... Args>
struct EventCall<Result (*)(Args...)> {
  using Others = std::make_index_sequence<sizeof...(Args) - 1>;

  template <typename Closure>
  static Result call(Args... args) noexcept {
    const std::tuple<Args...> all(args...);
    auto &closure = *static_cast<Closure *>(std::get<sizeof...(Args) - 1>(all));
    guarded([&] { call_with(closure, all, Others()); });
    return Result();
  }

 private:
  template <typename Closure, std::size_t... places>
  static void call_with(Closure &closure, const std::tuple<Args...> &all, std::index_sequence<places...>) {
    static_assert(std::is_invocable_v<Closure &, const std::tuple_element_t<places, std::tuple<Args...>> &...>,
                  "the closure takes the arguments of libvirt's callback for this kind of event, without the opaque");
    closure(std::get<places>(all)...);
  }
};

/** libvirt's function takes every callback as one type. */
template <typename Event, typename Generic, typename Object, typename Fn>
EventRegistration register_event(int (*register_any)(virConnectPtr, Object, int, Generic, void *, virFreeCallback),
                                 EventRegistration::Deregister deregister, virConnectPtr conn, Object object, int id,
                                 Fn &&fn) {
  using Closure = std::decay_t<Fn>;
  auto closure = to_heap(std::forward<Fn>(fn));
  const typename Event::Callback call = EventCall<typename Event::Callback>::template call<Closure>;
  // By way of void (*)(), which -Wcast-function-type knows as the type that stands for any.
  const auto generic = reinterpret_cast<Generic>(reinterpret_cast<void (*)()>(call));
  const int callback_id = register_any(conn, object, id, generic, closure.get(), destroy<Closure>);
  if (callback_id < 0) throw_uv_error(UV_EIO, virGetLastErrorMessage());
  closure.release();
  return {conn, callback_id, deregister};
}

}  // namespace detail

/** Calls `fn` for each event of the kind `id` (VIR_DOMAIN_EVENT_ID_…) of `domain`; null: of every domain.
 *
 * Any thread; it asks a remote host, and waits for the answer. Throws std::system_error with UV_EIO, and libvirt's
 * message, where libvirt refuses it; UV_EINVAL for an empty std::function. */
template <int id, typename Fn>
EventRegistration on_domain_event(virConnectPtr conn, virDomainPtr domain, Fn &&fn) {
  return detail::register_event<detail::DomainEvent<id>>(
      virConnectDomainEventRegisterAny, virConnectDomainEventDeregisterAny, conn, domain, id, std::forward<Fn>(fn));
}

/** As on_domain_event(), for VIR_NETWORK_EVENT_ID_…. */
template <int id, typename Fn>
EventRegistration on_network_event(virConnectPtr conn, virNetworkPtr network, Fn &&fn) {
  return detail::register_event<detail::NetworkEvent<id>>(
      virConnectNetworkEventRegisterAny, virConnectNetworkEventDeregisterAny, conn, network, id, std::forward<Fn>(fn));
}

/** As on_domain_event(), for VIR_STORAGE_POOL_EVENT_ID_…. */
template <int id, typename Fn>
EventRegistration on_storage_pool_event(virConnectPtr conn, virStoragePoolPtr pool, Fn &&fn) {
  return detail::register_event<detail::StoragePoolEvent<id>>(virConnectStoragePoolEventRegisterAny,
                                                              virConnectStoragePoolEventDeregisterAny, conn, pool, id,
                                                              std::forward<Fn>(fn));
}

/** As on_domain_event(), for VIR_NODE_DEVICE_EVENT_ID_…. */
template <int id, typename Fn>
EventRegistration on_node_device_event(virConnectPtr conn, virNodeDevicePtr device, Fn &&fn) {
  return detail::register_event<detail::NodeDeviceEvent<id>>(virConnectNodeDeviceEventRegisterAny,
                                                             virConnectNodeDeviceEventDeregisterAny, conn, device, id,
                                                             std::forward<Fn>(fn));
}

/** As on_domain_event(), for VIR_SECRET_EVENT_ID_…. */
template <int id, typename Fn>
EventRegistration on_secret_event(virConnectPtr conn, virSecretPtr secret, Fn &&fn) {
  return detail::register_event<detail::SecretEvent<id>>(
      virConnectSecretEventRegisterAny, virConnectSecretEventDeregisterAny, conn, secret, id, std::forward<Fn>(fn));
}

}  // namespace virt_uv

#endif
