/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt's contract with an event loop, as an abstract class, and its registration.
 *
 * libvirt takes six plain functions, once for each process, and keeps them for good. Here, six static functions stand
 * between: libvirt calls them, they call the one registered EventImpl, and let no exception through, since a frame of
 * libvirt's C lies above. virEventRegisterImpl() returns nothing and ignores all calls but the first; so
 * register_impl() asks libvirt for a timeout, before and after, and believes only what it sees arrive.
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

/* Runs `call`; an exception that it lets out is logged and counted, and ends here: the caller's caller is C. */
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

/* An event loop as libvirt wants it. Derive from it and override the six to give libvirt another loop than libuv's, or
 * to stand before UvEventImpl (adapter.hpp) and pass its calls on: then `cb`, `opaque` and `ff` must pass unchanged.
 *
 * Threads: libvirt calls the six from any thread, with locks of its own held. So none of them may call `cb` or `ff`,
 * or wait for the loop's thread; those two run on the loop's thread, with no lock of the implementation held.
 *
 * Ownership: libvirt keeps a registered implementation for as long as the process lives; so must its owner.
 *
 * Errors: an exception out of one of the six is logged, counted in virt_uv_stats, and answered with -1 where there is
 * an answer. */
class EventImpl {
 public:
  virtual ~EventImpl() = default;

  /* Calls `cb` in the loop whenever `fd` is ready for `events`: virEventHandleType bits, which are level-triggered. For
   * any mask but 0, which is silent, ERROR and HANGUP are always delivered. Returns an id of at least 1; or -1, and
   * then `ff` is never called. */
  virtual int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) = 0;

  /* Replaces the mask. An id that is not registered is silently ignored. */
  virtual void update_handle(int watch, int events) = 0;

  /* `cb` is not called again, but for a call that is running on another thread. Once it has returned, `ff(opaque)` must
   * be called in the loop, never from within this call. Returns 0, or -1 for an id that is not registered. */
  virtual int remove_handle(int watch) = 0;

  /* Calls `cb` in the loop every `frequency` milliseconds; 0: in every iteration; negative: not until it is updated.
   * Returns an id of at least 1 (numbered apart from watches); or -1, and then `ff` is never called. */
  virtual int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) = 0;

  /* Replaces the frequency and restarts the countdown, also where it stays the same. An id that is not registered is
   * silently ignored. */
  virtual void update_timeout(int timer, int frequency) = 0;

  /* As remove_handle. */
  virtual int remove_timeout(int timer) = 0;

  /* What an implementation dispatches through, on the loop's thread, with no lock held. An exception that a callback
   * lets out is logged and counted, and the loop goes on. */

  /* Calls `cb`; nothing where it is null. A null `opaque` is the business of `cb`. */
  static void run_handle_callback(int watch, int fd, int events, virEventHandleCallback cb, void *opaque) noexcept {
    if (cb != nullptr) detail::guarded([&] { cb(watch, fd, events, opaque); });
  }

  /* Calls `cb`; nothing where it is null. A null `opaque` is the business of `cb`. */
  static void run_timeout_callback(int timer, virEventTimeoutCallback cb, void *opaque) noexcept {
    if (cb != nullptr) detail::guarded([&] { cb(timer, opaque); });
  }

  /* Calls `ff`; nothing where it or `opaque` is null. Call it once for each removal, on a clean stack: from within no
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

/* What libvirt's six functions lead to. Two modules of a process that hide their symbols have one each; it is the probe
 * that tells them apart, not this. */
struct Registration {
  /* One thread registers at a time; the functions that libvirt calls read `impl` without it. */
  static inline std::mutex mutex;
  /* Registered by name. */
  static inline std::atomic<EventImpl *> impl{nullptr};
  /* An implementation that an attach has proved to be registered, and that nobody has registered by name yet. */
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

  /* The probe's callback; its timeout is disabled and soon removed, so it serves as a mark only. */
  static void arrived(int, void *) {}

  struct Probe {
    bool taken;   /* some loop is registered and gave the timeout an id */
    bool arrived; /* it came through the functions above */
  };

  static Probe probe() noexcept {
    bool seen = false;
    const int timer = virEventAddTimeout(-1, &arrived, &seen, nullptr);
    if (timer != -1) virEventRemoveTimeout(timer);
    return {timer != -1, seen};
  }

  /* With `mutex` held. An implementation that refuses the probe is seen by `impl` only, a foreign one by the probe
   * only. */
  static bool occupied() noexcept { return impl != nullptr || probe().taken; }

  /* With `mutex` held. Returns 0, UV_EBUSY, or UV_EIO where libvirt could not be initialised. */
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

/* Makes `impl` the event loop of libvirt, for the whole process and for good, and proves it: a timeout added through
 * libvirt (disabled, and removed at once) must arrive there.
 *
 * Call it before the first libvirt connection is opened, and before virt_uv_attach() or an Adapter, unless `impl` is
 * UvEventImpl::instance(): attaching it in C++ registers it too, and it may then be registered by name still, once. Any
 * thread. `impl` stays the caller's and must outlive all use of libvirt.
 *
 * Throws std::system_error of
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

/* Registers libvirt's own loop, which run_default() turns. Any thread. Throws std::system_error of
 *   UV_EBUSY  an event loop is registered already;
 *   UV_EIO    libvirt could not set its loop up. */
inline void register_default() {
  using detail::Registration;
  const std::lock_guard<std::mutex> lock(Registration::mutex);
  if (virInitialize() < 0) detail::throw_unless_registered(UV_EIO);
  if (Registration::occupied()) detail::throw_unless_registered(UV_EBUSY);
  if (virEventRegisterDefaultImpl() < 0) detail::throw_unless_registered(UV_EIO);
}

/* One iteration of libvirt's own loop, which must be registered: waits for an event and calls what is due. Always on
 * the same thread. Throws std::system_error of UV_EIO where libvirt says that it failed. */
inline void run_default() {
  if (virEventRunDefaultImpl() < 0) detail::throw_uv_error(UV_EIO, "virEventRunDefaultImpl failed");
}

}  // namespace virt_uv

#endif
