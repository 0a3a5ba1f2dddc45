/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * Watches and timeouts with closures, in the event loop that is registered with libvirt.
 *
 * libvirt's functions take (cb, opaque, ff). Here the closure is moved to the heap and is the opaque. cb and ff are two
 * functions made for its type: one calls the closure, the other destroys it. So a closure needs no wrapper and may be
 * move-only. It is destroyed exactly once: by ff, after its last call and its removal; or, if the add fails and ff is
 * never called, by the add. A closure may remove itself: ff waits until the closure has returned.
 *
 * Threads: each function may be called from any thread once an event loop is registered. Closures are called, and after
 * their removal destroyed, on the loop's thread. What a closure refers to must live until the closure is destroyed, not
 * just until the remove.
 *
 * An exception that a closure throws is logged with what() and counted in virt_uv_stats. It goes no further, and the
 * closure stays registered.
 */
#ifndef VIRT_UV_CLIENT_HPP
#define VIRT_UV_CLIENT_HPP

#include <fcntl.h>

#include <chrono>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include <virt-uv/virt-uv.h>
#include <virt-uv/error.hpp>
#include <virt-uv/event_impl.hpp>
#include <virt-uv/handle_event.hpp>

namespace virt_uv {

namespace detail {

/** Moves a closure to the heap, to become an opaque. */
template <typename Fn>
std::unique_ptr<std::decay_t<Fn>> to_heap(Fn &&fn) {
  using Closure = std::decay_t<Fn>;
  static_assert(std::is_nothrow_destructible_v<Closure>,
                "the closure is destroyed below libvirt's C: it must not throw");
  if constexpr (std::is_assignable_v<Closure &, std::nullptr_t>)
    if (!fn) throw_uv_error(UV_EINVAL, "the closure is empty: pass one that can be called");
  return std::make_unique<Closure>(std::forward<Fn>(fn));
}

template <typename Closure>
void destroy(void *opaque) noexcept {
  delete static_cast<Closure *>(opaque);
}

template <typename Closure>
void call_for_handle(int watch, int fd, int events, void *opaque) noexcept {
  guarded([&] { (*static_cast<Closure *>(opaque))(watch, fd, static_cast<handle_event>(events)); });
}

template <typename Closure>
void call_for_timeout(int timer, void *opaque) noexcept {
  guarded([&] { (*static_cast<Closure *>(opaque))(timer); });
}

}  // namespace detail

/** Calls `fn(int watch, int fd, handle_event events)` in the loop whenever `fd` is ready for `events`. Any thread.
 * Events are level-triggered; error and hangup are delivered with any mask except none. The caller keeps the ownership
 * of the fd, and must keep it open until the remove.
 *
 * Returns the watch's id, at least 1. On an error it destroys the closure and throws std::system_error with
 *   UV_EINVAL  `fn` is an empty std::function or a null pointer;
 *   UV_EBADF   `fd` is not an open fd;
 *   UV_EIO     the event loop refused it, or none is registered;
 * and what moving `fn` throws. */
template <typename Fn>
int add_handle(int fd, handle_event events, Fn &&fn) {
  using Closure = std::decay_t<Fn>;
  static_assert(std::is_invocable_v<Closure &, int, int, handle_event>,
                "call it as fn(int watch, int fd, handle_event events)");
  auto closure = detail::to_heap(std::forward<Fn>(fn));
  const int watch = virEventAddHandle(fd, static_cast<int>(events), detail::call_for_handle<Closure>, closure.get(),
                                      detail::destroy<Closure>);
  if (watch < 0 && fcntl(fd, F_GETFD) < 0) detail::throw_uv_error(UV_EBADF, "add_handle: the fd is not open");
  if (watch < 0) detail::throw_uv_error(UV_EIO, "add_handle: refused by libvirt's event loop; is one registered?");
  closure.release();
  return watch;
}

/** Replaces the mask. Any thread. An id that is not registered is silently ignored, as libvirt does. */
inline void update_handle(int watch, handle_event events) { virEventUpdateHandle(watch, static_cast<int>(events)); }

/** Removes the watch. Any thread. The closure is not called again; a call that is running on the loop's thread may
 * finish. Afterwards the closure is destroyed on that thread, never inside this function. Returns 0, or -1 for an id
 * that is not registered. */
inline int remove_handle(int watch) { return virEventRemoveHandle(watch); }

/** The time between two calls of a timeout: milliseconds, as libvirt has them, or a std::chrono duration, which is
 * rounded up to milliseconds. 0: a call in every iteration; negative: none before it is updated. */
class Interval {
 public:
  /** Implicit, so that both can be passed. */
  constexpr Interval(int milliseconds) noexcept : milliseconds_(milliseconds) {}

  /** The same. Throws std::system_error with UV_EINVAL for more than libvirt's int holds, 24 days. */
  template <typename Rep, typename Period>
  constexpr Interval(std::chrono::duration<Rep, Period> duration) : milliseconds_(to_int(duration)) {}

  /** As libvirt has it. */
  constexpr int milliseconds() const noexcept { return milliseconds_; }

 private:
  template <typename Duration>
  static constexpr int to_int(Duration duration) {
    if (duration < Duration::zero()) return -1;
    const std::chrono::milliseconds longest(std::numeric_limits<int>::max());
    if (duration > longest) detail::throw_uv_error(UV_EINVAL, "a timeout lasts 24 days at most");
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
  }

  int milliseconds_;
};

/** Calls `fn(int timer)` in the loop again and again, `interval` after the last call. Any thread.
 *
 * Returns the timeout's id, at least 1. On an error it destroys the closure and throws std::system_error with
 *   UV_EINVAL  `fn` is an empty std::function or a null pointer;
 *   UV_EIO     the event loop refused it, or none is registered;
 * and what moving `fn` throws. */
template <typename Fn>
int add_timeout(Interval interval, Fn &&fn) {
  using Closure = std::decay_t<Fn>;
  static_assert(std::is_invocable_v<Closure &, int>, "call it as fn(int timer)");
  auto closure = detail::to_heap(std::forward<Fn>(fn));
  const int timer = virEventAddTimeout(interval.milliseconds(), detail::call_for_timeout<Closure>, closure.get(),
                                       detail::destroy<Closure>);
  if (timer < 0) detail::throw_uv_error(UV_EIO, "add_timeout: refused by libvirt's event loop; is one registered?");
  closure.release();
  return timer;
}

/** Replaces the interval and restarts the countdown. Any thread. An id that is not registered is silently ignored. */
inline void update_timeout(int timer, Interval interval) { virEventUpdateTimeout(timer, interval.milliseconds()); }

/** Removes the timeout, as remove_handle does a watch. Any thread. */
inline int remove_timeout(int timer) { return virEventRemoveTimeout(timer); }

namespace detail {

/** Owns an id (0: none), and removes it in the destructor. */
template <typename Wanted, void (*update_id)(int, Wanted), int (*remove_id)(int)>
class Owned {
 public:
  Owned() = default;
  Owned(Owned &&other) noexcept : id_(other.release()) {}
  Owned &operator=(Owned &&other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Owned() { remove(); }

  /** Returns the id, or 0 if nothing is owned. */
  int id() const noexcept { return id_; }
  explicit operator bool() const noexcept { return id_ != 0; }

  /** Calls update_handle or update_timeout. Does nothing if nothing is owned. */
  void update(Wanted wanted) noexcept {
    if (id_ != 0) update_id(id_, wanted);
  }

  /** Removes it now. Does nothing if nothing is owned. */
  void remove() noexcept { reset(0); }

  /** Returns the id (0: none) and gives up its ownership: the caller removes it. */
  [[nodiscard]] int release() noexcept { return std::exchange(id_, 0); }

 protected:
  explicit Owned(int id) noexcept : id_(id) {}

 private:
  /** The new id is stored before the old one is removed, because an implementation's remove may call this object. */
  void reset(int id) noexcept {
    const int old = std::exchange(id_, id);
    if (old != 0) remove_id(old);
  }

  int id_ = 0;
};

}  // namespace detail

/** Owns a watch: removes it on destruction, on assignment, and by remove(). Any thread, but one thread at a time for
 * each object. Move-only; a default-constructed one owns nothing. It may be destroyed inside its own closure. */
class Watch : public detail::Owned<handle_event, update_handle, remove_handle> {
 public:
  Watch() = default;

  /** Adds a watch as add_handle does, and throws what add_handle throws. */
  template <typename Fn>
  Watch(int fd, handle_event events, Fn &&fn) : Owned(add_handle(fd, events, std::forward<Fn>(fn))) {}
};

/** Owns a timeout, as Watch does a watch. */
class Timeout : public detail::Owned<Interval, update_timeout, remove_timeout> {
 public:
  Timeout() = default;

  /** Adds a timeout as add_timeout does, and throws what add_timeout throws. */
  template <typename Fn>
  Timeout(Interval interval, Fn &&fn) : Owned(add_timeout(interval, std::forward<Fn>(fn))) {}
};

}  // namespace virt_uv

#endif
