/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * virt-uv's own event loop in C++17, header-only over <virt-uv/virt-uv.h>.
 *
 *     uv_loop_t* loop = uv_default_loop();
 *     virt_uv::Adapter adapter(loop);                    // throws std::system_error; before the first virConnectOpen
 *     ... virConnectOpen, virConnectDomainEventRegisterAny, uv_run(loop, UV_RUN_DEFAULT) ...
 *
 * UvEventImpl is the library as an EventImpl, to register by name or to wrap in a decorator. Adapter attaches it to a
 * loop and detaches it. Neither has state of its own: the state is the library's, one for each process.
 */
#ifndef VIRT_UV_ADAPTER_HPP
#define VIRT_UV_ADAPTER_HPP

#include <memory>
#include <mutex>
#include <system_error>
#include <type_traits>
#include <utility>

#include <virt-uv/virt-uv.h>
#include <virt-uv/error.hpp>
#include <virt-uv/event.hpp>

namespace virt_uv {

/** libvirt's events in a libuv loop. Register it, or a decorator that passes all calls on to it, with register_impl().
 * A decorator must be registered before the attach. Calls made while there is no loop are kept, and carried out when
 * there is one. */
class UvEventImpl final : public EventImpl {
 public:
  /** Returns the one object. Any thread. It is never destroyed, because libvirt may call it until the process ends. (A
   * shared library that hides its symbols has an object of its own, which does the same: there is no state in it.) */
  static UvEventImpl &instance() {
    static UvEventImpl &the_one = *new UvEventImpl;
    return the_one;
  }

  /** Makes `loop` (null: uv_default_loop()) the loop in which events are delivered. Threads and errors are those of
   * virt_uv_attach(). If no event loop is registered with libvirt yet, it registers this one. The caller keeps the
   * ownership of the loop. */
  void attach(uv_loop_t *loop, const virt_uv_options *options, std::error_code &error) noexcept {
    const std::lock_guard<std::mutex> lock(detail::Registration::mutex);
    const int result = virt_uv_attach(loop, options);
    if (result == 0 && detail::Registration::impl == nullptr) detail::Registration::implied = this;
    error = make_uv_error(result);
  }

  /** The same, and throws std::system_error with those errors. */
  void attach(uv_loop_t *loop, const virt_uv_options *options = nullptr) {
    std::error_code error;
    attach(loop, options, error);
    if (error) throw std::system_error(error, "virt_uv_attach");
  }

  /** Takes the library's handles off the loop, which must run until that is done. Threads and errors are those of
   * virt_uv_detach(). */
  void detach(std::error_code &error) noexcept { error = make_uv_error(virt_uv_detach(nullptr, nullptr)); }

  /** The same, and throws std::system_error with those errors. */
  void detach() {
    std::error_code error;
    detach(error);
    if (error) throw std::system_error(error, "virt_uv_detach");
  }

  /** Each calls the function of the same name in the C API, which states threads, ownership and errors. */
  int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) override {
    return virt_uv_add_handle(fd, events, cb, opaque, ff);
  }
  void update_handle(int watch, int events) override { virt_uv_update_handle(watch, events); }
  int remove_handle(int watch) override { return virt_uv_remove_handle(watch); }
  int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) override {
    return virt_uv_add_timeout(frequency, cb, opaque, ff);
  }
  void update_timeout(int timer, int frequency) override { virt_uv_update_timeout(timer, frequency); }
  int remove_timeout(int timer) override { return virt_uv_remove_timeout(timer); }

 private:
  UvEventImpl() = default;
};

namespace detail {

template <typename Closure>
void call_and_destroy(void *opaque) noexcept {
  const std::unique_ptr<Closure> closure(static_cast<Closure *>(opaque));
  guarded([&] { (*closure)(); });
}

/** Passes `fn` to virt_uv_detach or virt_uv_drain. If that fails, `fn` is destroyed at once. */
template <typename Fn>
std::error_code call_later(int (*later)(virt_uv_cb, void *), Fn &&fn) {
  using Closure = std::decay_t<Fn>;
  static_assert(std::is_invocable_v<Closure &>, "call it as fn()");
  auto closure = to_heap(std::forward<Fn>(fn));
  const int result = later(call_and_destroy<Closure>, closure.get());
  if (result == 0) closure.release();
  return make_uv_error(result);
}

}  // namespace detail

/** Attaches UvEventImpl to a loop in the constructor, and detaches it in the destructor. Move-only. A
 * default-constructed Adapter is attached to nothing.
 *
 * Threads: call every member on the loop's thread. Ownership: the caller keeps the loop. A process has one attachment,
 * so it should have one Adapter: a second one for the same loop succeeds, and the first that is destroyed detaches. */
class Adapter {
 public:
  Adapter() = default;

  /** Attaches as UvEventImpl::attach does; throws std::system_error with its errors. */
  explicit Adapter(uv_loop_t *loop, const virt_uv_options *options = nullptr) {
    UvEventImpl::instance().attach(loop, options);
    attached_ = true;
  }

  /** The same, but sets `error` instead of throwing. On an error the object is attached to nothing. */
  Adapter(uv_loop_t *loop, const virt_uv_options *options, std::error_code &error) {
    UvEventImpl::instance().attach(loop, options, error);
    attached_ = !error;
  }

  /** Takes over what `other` is attached to. */
  Adapter(Adapter &&other) noexcept : attached_(std::exchange(other.attached_, false)) {}
  /** Starts the detach of its own loop, if it has one, and takes over what `other` is attached to. */
  Adapter &operator=(Adapter &&other) noexcept {
    if (this != &other) {
      release();
      attached_ = std::exchange(other.attached_, false);
    }
    return *this;
  }

  /** Starts the detach. The loop must run one more iteration before uv_loop_close(). To learn when the detach is done,
   * call detach(done). */
  ~Adapter() { release(); }

  /** Is it attached? */
  explicit operator bool() const noexcept { return attached_; }

  /** Returns the loop. Null: attached to nothing, or the host has closed the library's handles. */
  uv_loop_t *loop() const noexcept { return attached_ ? virt_uv_loop() : nullptr; }

  /** Starts the detach, and calls `done()` in the loop when no handle of the library is left on it. `done` is destroyed
   * after that call, or at once on an error. In either case this object is attached to nothing afterwards. Errors are
   * those of virt_uv_detach(): UV_ENOTCONN, UV_EALREADY, UV_ECONNABORTED, UV_EPERM. An empty std::function or a null
   * pointer throws UV_EINVAL. */
  template <typename Fn>
  void detach(Fn &&done, std::error_code &error) {
    error = attached_ ? detail::call_later(virt_uv_detach, std::forward<Fn>(done)) : make_uv_error(UV_ENOTCONN);
    attached_ = false;
  }

  /** The same, and throws std::system_error with those errors. */
  template <typename Fn>
  void detach(Fn &&done) {
    std::error_code error;
    detach(std::forward<Fn>(done), error);
    if (error) throw std::system_error(error, "virt_uv_detach");
  }

  /** Starts the detach, for a caller who need not know when it is done. Errors as above. */
  void detach(std::error_code &error) noexcept {
    error = make_uv_error(attached_ ? virt_uv_detach(nullptr, nullptr) : UV_ENOTCONN);
    attached_ = false;
  }

  /** The same, and throws std::system_error with those errors. */
  void detach() {
    std::error_code error;
    detach(error);
    if (error) throw std::system_error(error, "virt_uv_detach");
  }

  /** Calls `idle()` in the loop, once, when nothing is registered and nothing waits to be freed: see virt_uv_drain().
   * `idle` is destroyed after that call, or at once on an error. Errors: UV_ENOTCONN, UV_ENOMEM, UV_EPERM. An empty
   * std::function or a null pointer throws UV_EINVAL. */
  template <typename Fn>
  void drain(Fn &&idle, std::error_code &error) {
    error = attached_ ? detail::call_later(virt_uv_drain, std::forward<Fn>(idle)) : make_uv_error(UV_ENOTCONN);
  }

  /** The same, and throws std::system_error with those errors. */
  template <typename Fn>
  void drain(Fn &&idle) {
    std::error_code error;
    drain(std::forward<Fn>(idle), error);
    if (error) throw std::system_error(error, "virt_uv_drain");
  }

 private:
  /** An error is ignored: it means that there is nothing to detach, because the host has done it in another way. */
  void release() noexcept {
    if (std::exchange(attached_, false)) virt_uv_detach(nullptr, nullptr);
  }

  bool attached_ = false;
};

}  // namespace virt_uv

#endif
