// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libuv handles, and the object that each belongs to.
//
// `handle.data` is always NULL. Hosts walk their loop, and take a handle with data for one of their own: uvloop's
// loop.close(), luv's uv.walk(), C++ wrappers. So the owner lies behind the handle, and is found from its address.
#pragma once

#include <uv.h>

#include <type_traits>

namespace virt_uv::loop {

template <typename Handle>
bool is_closing(const Handle &handle) noexcept {
  return uv_is_closing(reinterpret_cast<const uv_handle_t *>(&handle)) != 0;
}

template <typename Handle, typename Owner>
struct Owned {
  Handle handle{};
  Owner owner{};

  static Owned &of(void *handle) noexcept {
    static_assert(std::is_standard_layout_v<Owned>, "the handle is at the object's own address");
    return *static_cast<Owned *>(handle);
  }

  uv_handle_t *base() noexcept { return reinterpret_cast<uv_handle_t *>(&handle); }
};

// How many handles of a loop are closing. libuv closes a handle in a later phase of the iteration, and only when the
// last has closed may their memory go and a detach be done.
class ClosingHandles {
 public:
  using NoneLeft = void (*)(void *owner);

  void close(uv_handle_t *handle, uv_close_cb on_closed) noexcept {
    ++closing_;
    uv_close(handle, on_closed);
  }

  // In each close callback, last.
  void closed() {
    if (--closing_ == 0 && none_left_ != nullptr) none_left_(owner_);
  }

  bool any() const noexcept { return closing_ > 0; }

  // From here on `none_left(owner)` is called from the close callback of the last that is closing.
  void when_none_left(NoneLeft none_left, void *owner) noexcept {
    none_left_ = none_left;
    owner_ = owner;
  }

 private:
  unsigned closing_ = 0;
  NoneLeft none_left_ = nullptr;
  void *owner_ = nullptr;
};

}  // namespace virt_uv::loop
