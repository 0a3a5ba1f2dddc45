/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * libvirt's event loop in C++17, header-only: to implement one, and to use the one that is registered.
 *
 *     virt_uv::register_impl(my_loop);                                                   // event_impl.hpp
 *     virt_uv::Timeout tick(1s, [](int) { std::puts("a second"); });                      // client.hpp
 *     virt_uv::Watch input(0, virt_uv::handle_event::readable, [](int, int fd, virt_uv::handle_event) { ... });
 *
 * For libuv's loop, see <virt-uv/adapter.hpp>. Link with pkg-config virt-uv. */
#ifndef VIRT_UV_EVENT_HPP
#define VIRT_UV_EVENT_HPP

#include <virt-uv/client.hpp>
#include <virt-uv/error.hpp>
#include <virt-uv/event_impl.hpp>
#include <virt-uv/handle_event.hpp>
#include <virt-uv/on_event.hpp>

#endif
