/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * An event loop for libvirt as an abstract class, and its registration.
 *
 * libvirt takes six plain functions, once for each process, and keeps them for good. Here they are six static
 * functions: libvirt calls them, and they call the registered EventImpl. They let no exception through, because their
 * caller is C. virEventRegisterImpl() returns nothing and ignores all calls except the first. So register_impl() adds a
 * timeout through libvirt, before and after, and looks whether the call arrives.
 */
#ifndef VIRT_UV_EVENT_IMPL_HPP
#define VIRT_UV_EVENT_IMPL_HPP

#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

#include <virt-uv/virt-uv.h>
#include <virt-uv/error.hpp>

namespace virt_uv {

namespace detail {

/** Runs `call`. An exception that it throws is logged and counted, and goes no further: the caller's caller is C. */
template <typename Call>
void guarded(Call &&call) noexcept {
  try {
    call();
  } catch (const std::exception &error) {
    virt_uv_report_exception(error.what());
  } catch (...) {
    virt_uv_report_exception(nullptr);
  }
}

}  // namespace detail

/** An event loop as libvirt needs it. Derive from it and override the six functions, to give libvirt another loop than
 * libuv's, or to decorate UvEventImpl (adapter.hpp). A decorator must pass `cb`, `opaque` and `ff` on unchanged.
 *
 * Threads: libvirt calls the six functions from any thread, with its own locks held. So none of them may call `cb` or
 * `ff`, or wait for the loop's thread. `cb` and `ff` are called on the loop's thread, with no lock of the
 * implementation held.
 *
 * Ownership: libvirt uses a registered implementation until the process ends; its owner must keep it as long.
 *
 * Errors: an exception that one of the six functions throws is logged and counted in virt_uv_stats. libvirt gets -1 if
 * the function returns a value. */
class EventImpl {
 public:
  virtual ~EventImpl() = default;

  /** Calls `cb` in the loop whenever `fd` is ready for `events`. Any thread. `events` are virEventHandleType bits, and
   * level-triggered. ERROR and HANGUP are delivered with any mask except 0, which is silent. Returns an id of at least
   * 1; or -1, and then `ff` is never called. */
  virtual int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) = 0;

  /** Replaces the mask. Any thread. An id that is not registered is silently ignored. */
  virtual void update_handle(int watch, int events) = 0;

  /** Removes the watch. Any thread. `cb` is not called again; a call that is running on the loop's thread may finish.
   * When it has returned, `ff(opaque)` must be called in the loop, never inside this function. Returns 0, or -1 for an
   * id that is not registered. */
  virtual int remove_handle(int watch) = 0;

  /** Calls `cb` in the loop every `frequency` milliseconds. Any thread. 0: in every iteration; negative: not before it
   * is updated. Returns an id of at least 1 (numbered apart from watches); or -1, and then `ff` is never called. */
  virtual int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) = 0;

  /** Replaces the frequency and restarts the countdown, also if the frequency is the same. Any thread. An id that is
   * not registered is silently ignored. */
  virtual void update_timeout(int timer, int frequency) = 0;

  /** Removes the timeout, as remove_handle does a watch. Any thread. */
  virtual int remove_timeout(int timer) = 0;

  /** An implementation calls callbacks through these three, on the loop's thread, with no lock held. An exception that
   * a callback throws is logged and counted, and the loop goes on. */

  /** Calls `cb`, if it is not null. `opaque` is passed on, also if it is null. */
  static void run_handle_callback(int watch, int fd, int events, virEventHandleCallback cb, void *opaque) noexcept {
    if (cb != nullptr) detail::guarded([&] { cb(watch, fd, events, opaque); });
  }

  /** Calls `cb`, if it is not null. `opaque` is passed on, also if it is null. */
  static void run_timeout_callback(int timer, virEventTimeoutCallback cb, void *opaque) noexcept {
    if (cb != nullptr) detail::guarded([&] { cb(timer, opaque); });
  }

  /** Calls `ff`, if neither it nor `opaque` is null. Call it once for each removal, on a clean stack: not inside a
   * callback. */
  static void free_callback_opaque(virFreeCallback ff, void *opaque) noexcept {
    if (ff != nullptr && opaque != nullptr) detail::guarded([&] { ff(opaque); });
  }

 protected:
  EventImpl() = default;
  EventImpl(const EventImpl &) = delete;
  EventImpl &operator=(const EventImpl &) = delete;
};

namespace detail {

/** Where libvirt's six functions lead. Two modules of a process that hide their symbols have one of these each; what
 * tells them apart is the probe. */
struct Registration {
  /** Held while a thread registers. The functions that libvirt calls read `impl` without it. */
  static inline std::mutex mutex;
  /** Registered by name. */
  static inline std::atomic<EventImpl *> impl{nullptr};
  /** The implementation that an attach has registered, as long as it was not registered by name. */
  static inline EventImpl *implied = nullptr;

  static int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) noexcept {
    int watch = -1;
    guarded([&] { watch = impl.load()->add_handle(fd, events, cb, opaque, ff); });
    return watch;
  }

  static void update_handle(int watch, int events) noexcept {
    guarded([&] { impl.load()->update_handle(watch, events); });
  }

  static int remove_handle(int watch) noexcept {
    int result = -1;
    guarded([&] { result = impl.load()->remove_handle(watch); });
    return result;
  }

  static int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) noexcept {
    if (cb == &arrived) *static_cast<bool *>(opaque) = true;
    int timer = -1;
    guarded([&] { timer = impl.load()->add_timeout(frequency, cb, opaque, ff); });
    return timer;
  }

  static void update_timeout(int timer, int frequency) noexcept {
    guarded([&] { impl.load()->update_timeout(timer, frequency); });
  }

  static int remove_timeout(int timer) noexcept {
    int result = -1;
    guarded([&] { result = impl.load()->remove_timeout(timer); });
    return result;
  }

  /** The probe's callback. It is never called, because its timeout is disabled: it only marks the probe. */
  static void arrived(int, void *) {}

  struct Probe {
    bool taken;   /* an event loop is registered and returned an id for the timeout */
    bool arrived; /* the call came through the functions above */
  };

  static Probe probe() noexcept {
    bool seen = false;
    const int timer = virEventAddTimeout(-1, &arrived, &seen, nullptr);
    if (timer != -1) virEventRemoveTimeout(timer);
    return {timer != -1, seen};
  }

  /** With `mutex` held. Only `impl` shows an implementation that refuses the probe, and only the probe shows a foreign
   * one. */
  static bool occupied() noexcept { return impl != nullptr || probe().taken; }

  /** With `mutex` held. Returns 0, UV_EBUSY, or UV_EIO if libvirt could not be initialised. */
  static int claim(EventImpl &wanted) noexcept {
    if (virInitialize() < 0) return UV_EIO;
    if (occupied()) return UV_EBUSY;
    impl = &wanted;
    virEventRegisterImpl(add_handle, update_handle, remove_handle, add_timeout, update_timeout, remove_timeout);
    if (probe().arrived) return 0;
    impl = nullptr;
    return UV_EBUSY;
  }
};

inline void throw_unless_registered(int error) {
  if (error == UV_EBUSY)
    throw_uv_error(error, "libvirt has an event loop already: register one, before attaching and connecting");
  if (error < 0) throw_uv_error(error, "libvirt could not be initialised");
}

}  // namespace detail

/** Makes `impl` libvirt's event loop, for the whole process and for good. Any thread. It verifies the registration: a
 * timeout that it adds through libvirt (disabled, and removed at once) must arrive at `impl`.
 *
 * Call it before the first libvirt connection is opened, and before virt_uv_attach() or an Adapter. There is one
 * exception: attaching in C++ registers UvEventImpl::instance(), which may then still be registered by name, once. The
 * caller keeps the ownership of `impl`, which must live as long as libvirt is used.
 *
 * Throws std::system_error with
 *   UV_EBUSY  an event loop is registered already, be it by C code or by register_default();
 *   UV_EIO    libvirt could not be initialised. */
inline void register_impl(EventImpl &impl) {
  using detail::Registration;
  const std::lock_guard<std::mutex> lock(Registration::mutex);
  if (Registration::implied == &impl)
    Registration::impl = std::exchange(Registration::implied, nullptr);
  else
    detail::throw_unless_registered(Registration::claim(impl));
}

/** Registers libvirt's own loop, which run_default() runs. Any thread. Throws std::system_error with
 *   UV_EBUSY  an event loop is registered already;
 *   UV_EIO    libvirt could not set its loop up. */
inline void register_default() {
  using detail::Registration;
  const std::lock_guard<std::mutex> lock(Registration::mutex);
  if (virInitialize() < 0) detail::throw_unless_registered(UV_EIO);
  if (Registration::occupied()) detail::throw_unless_registered(UV_EBUSY);
  if (virEventRegisterDefaultImpl() < 0) detail::throw_unless_registered(UV_EIO);
}

/** Runs one iteration of libvirt's own loop, which must be registered: waits for an event and calls what is due. Call
 * it always on the same thread. Throws std::system_error with UV_EIO if libvirt reports a failure. */
inline void run_default() {
  if (virEventRunDefaultImpl() < 0) detail::throw_uv_error(UV_EIO, "virEventRunDefaultImpl failed");
}

}  // namespace virt_uv

#endif
