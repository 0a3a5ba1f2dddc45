/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Watches and timeouts of one's own in the loop that libvirt uses, whichever is registered, with closures.
 *
 * libvirt's calls take (cb, opaque, ff). Here the closure is moved to the heap and is the opaque; cb and ff are two
 * functions made for its type: one calls it, the other destroys it. So it needs no wrapper, may be move-only, and is
 * destroyed exactly once: by ff, after its last call and its removal; or, where the add fails and ff is never called,
 * by the add. A closure may remove itself: ff waits until it has returned.
 *
 * Threads: all calls are allowed from any thread once an event loop is registered; closures are called, and destroyed
 * after their removal, on the loop's thread. They take a copy of nothing: what they capture must be theirs or outlive
 * their destruction, not just the remove.
 *
 * An exception that a closure lets out is logged with what(), counted in virt_uv_stats, and goes no further; the
 * closure stays registered.
 */
#ifndef VIRT_UV_CLIENT_HPP
#define VIRT_UV_CLIENT_HPP

#include <fcntl.h>

#include <memory>
#include <type_traits>
#include <utility>

#include <virt-uv/virt-uv.h>
#include <virt-uv/error.hpp>
#include <virt-uv/event_impl.hpp>
#include <virt-uv/handle_event.hpp>

namespace virt_uv {

namespace detail {

/* A closure on the heap, on its way to be an opaque. */
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

/* Calls `fn(int watch, int fd, handle_event events)` in the loop whenever `fd` is ready for `events`, level-triggered;
 * error and hangup come with any mask but none. The fd stays the caller's, who must keep it open until the remove.
 *
 * Returns the watch's id, at least 1. Throws std::system_error, the closure destroyed, of
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

/* Replaces the mask. An id that is not registered is silently ignored, as libvirt does it. */
inline void update_handle(int watch, handle_event events) { virEventUpdateHandle(watch, static_cast<int>(events)); }

/* The closure is not called again, but for a call that is running on the loop's thread; it is destroyed there
 * afterwards, never within this call. Returns 0, or -1 for an id that is not registered. */
inline int remove_handle(int watch) { return virEventRemoveHandle(watch); }

/* Calls `fn(int timer)` in the loop every `frequency` milliseconds; 0: in every iteration; negative: not until it is
 * updated.
 *
 * Returns the timeout's id, at least 1. Throws std::system_error, the closure destroyed, of
 *   UV_EINVAL  `fn` is an empty std::function or a null pointer;
 *   UV_EIO     the event loop refused it, or none is registered;
 * and what moving `fn` throws. */
template <typename Fn>
int add_timeout(int frequency, Fn &&fn) {
  using Closure = std::decay_t<Fn>;
  static_assert(std::is_invocable_v<Closure &, int>, "call it as fn(int timer)");
  auto closure = detail::to_heap(std::forward<Fn>(fn));
  const int timer =
      virEventAddTimeout(frequency, detail::call_for_timeout<Closure>, closure.get(), detail::destroy<Closure>);
  if (timer < 0) detail::throw_uv_error(UV_EIO, "add_timeout: refused by libvirt's event loop; is one registered?");
  closure.release();
  return timer;
}

/* Replaces the frequency (milliseconds, as in add_timeout) and restarts the countdown. An id that is not registered is
 * silently ignored. */
inline void update_timeout(int timer, int frequency) { virEventUpdateTimeout(timer, frequency); }

/* As remove_handle. */
inline int remove_timeout(int timer) { return virEventRemoveTimeout(timer); }

namespace detail {

/* An id (0: none) that is removed with its owner. */
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

  /* The id, or 0 where nothing is owned. */
  int id() const noexcept { return id_; }
  explicit operator bool() const noexcept { return id_ != 0; }

  /* As update_handle or update_timeout; nothing where nothing is owned. */
  void update(Wanted wanted) noexcept {
    if (id_ != 0) update_id(id_, wanted);
  }

  /* Removes it now; nothing where nothing is owned. */
  void remove() noexcept { reset(0); }

  /* Returns the id (0: none), which is the caller's to remove from now on. */
  [[nodiscard]] int release() noexcept { return std::exchange(id_, 0); }

 protected:
  explicit Owned(int id) noexcept : id_(id) {}

 private:
  /* The new id is in place before the old one is removed, as an implementation's remove may come back to this object.
   */
  void reset(int id) noexcept {
    const int old = std::exchange(id_, id);
    if (old != 0) remove_id(old);
  }

  int id_ = 0;
};

}  // namespace detail

/* Owns a watch: removes it when it is destroyed, assigned to, or told to. Move-only; a default one owns nothing. Any
 * thread, but one object is for one thread at a time. It may be destroyed inside its own closure. */
class Watch : public detail::Owned<handle_event, update_handle, remove_handle> {
 public:
  Watch() = default;

  /* As add_handle, also in what it throws. */
  template <typename Fn>
  Watch(int fd, handle_event events, Fn &&fn) : Owned(add_handle(fd, events, std::forward<Fn>(fn))) {}
};

/* Owns a timeout, as Watch does a watch. */
class Timeout : public detail::Owned<int, update_timeout, remove_timeout> {
 public:
  Timeout() = default;

  /* As add_timeout, also in what it throws. */
  template <typename Fn>
  Timeout(int frequency, Fn &&fn) : Owned(add_timeout(frequency, std::forward<Fn>(fn))) {}
};

}  // namespace virt_uv

#endif
