/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * The four events of a watch as a mask of its own type. It has the bits of virEventHandleType, and does not mix with
 * other integers: static_cast converts it to libvirt's int and back. */
#ifndef VIRT_UV_HANDLE_EVENT_HPP
#define VIRT_UV_HANDLE_EVENT_HPP

#include <virt-uv/virt-uv.h>

namespace virt_uv {

/** The events of a watch, as poll(2) means them. */
enum class handle_event : int {
  none = 0,                             /**< registered but silent */
  readable = VIR_EVENT_HANDLE_READABLE, /**< POLLIN */
  writable = VIR_EVENT_HANDLE_WRITABLE, /**< POLLOUT */
  error = VIR_EVENT_HANDLE_ERROR,       /**< POLLERR: comes with every mask except none */
  hangup = VIR_EVENT_HANDLE_HANGUP      /**< POLLHUP: comes with every mask except none */
};

/** The events of both. */
constexpr handle_event operator|(handle_event a, handle_event b) noexcept {
  return static_cast<handle_event>(static_cast<int>(a) | static_cast<int>(b));
}

/** The events that are in both. */
constexpr handle_event operator&(handle_event a, handle_event b) noexcept {
  return static_cast<handle_event>(static_cast<int>(a) & static_cast<int>(b));
}

/** Adds events. */
constexpr handle_event &operator|=(handle_event &a, handle_event b) noexcept { return a = a | b; }
/** Leaves only what is in both. */
constexpr handle_event &operator&=(handle_event &a, handle_event b) noexcept { return a = a & b; }

/** Returns those of the four events that are not in `a`. */
constexpr handle_event operator~(handle_event a) noexcept {
  constexpr int all =
      VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_WRITABLE | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP;
  return static_cast<handle_event>(~static_cast<int>(a) & all);
}

/** Returns whether at least one of `wanted` is in `events`. */
constexpr bool has(handle_event events, handle_event wanted) noexcept {
  return (events & wanted) != handle_event::none;
}

}  // namespace virt_uv

#endif
