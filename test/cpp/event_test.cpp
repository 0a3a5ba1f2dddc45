/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What needs no event loop: the mask, the error category, the helpers of EventImpl. */
#include <stdexcept>
#include <type_traits>

#include <virt-uv/event.hpp>

#include "fixtures.hpp"

using virt_uv::EventImpl;
using virt_uv::handle_event;

TEST_CASE("the mask has libvirt's bits") {
  CHECK(static_cast<int>(handle_event::readable) == VIR_EVENT_HANDLE_READABLE);
  CHECK(static_cast<int>(handle_event::writable) == VIR_EVENT_HANDLE_WRITABLE);
  CHECK(static_cast<int>(handle_event::error) == VIR_EVENT_HANDLE_ERROR);
  CHECK(static_cast<int>(handle_event::hangup) == VIR_EVENT_HANDLE_HANGUP);
  CHECK(static_cast<int>(handle_event::none) == 0);
}

TEST_CASE("masks combine and converting one to int or back has to be spelled out") {
  handle_event mask = handle_event::readable | handle_event::hangup;
  CHECK(static_cast<int>(mask) == (VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_HANGUP));
  CHECK(has(mask, handle_event::hangup));
  CHECK_FALSE(has(mask, handle_event::writable | handle_event::error));
  CHECK(~mask == (handle_event::writable | handle_event::error));
  mask &= ~handle_event::readable;
  CHECK(mask == handle_event::hangup);
  mask |= handle_event::error;
  CHECK(mask == (handle_event::hangup | handle_event::error));
  STATIC_REQUIRE_FALSE(std::is_convertible_v<handle_event, int>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<int, handle_event>);
}

TEST_CASE("libuv's codes travel as std::error_code with libuv's words") {
  const std::error_code busy = virt_uv::make_uv_error(UV_EBUSY);
  CHECK(busy.value() == UV_EBUSY);
  CHECK(busy == std::errc::device_or_resource_busy);
  CHECK(busy.message() == uv_strerror(UV_EBUSY));
  CHECK(busy.category() == virt_uv::uv_category());
  CHECK(busy.category().name() == std::string("libuv"));
  CHECK_FALSE(virt_uv::make_uv_error(0));
}

TEST_CASE("a code that libuv invented is no errno") {
  for (const int code : {int{UV_EOF}, int{UV_EAI_ADDRFAMILY}, int{UV_UNKNOWN}}) {
    const std::error_code error = virt_uv::make_uv_error(code);
    CHECK(error.default_error_condition() == std::error_condition(code, virt_uv::uv_category()));
    CHECK(error.message() == uv_strerror(code));
  }
}

namespace {

struct Seen {
  int id = 0, fd = 0, events = 0, calls = 0;
};

void see_handle(int watch, int fd, int events, void *opaque) {
  auto *seen = static_cast<Seen *>(opaque);
  *seen = {watch, fd, events, seen->calls + 1};
}

void see_timeout(int timer, void *opaque) {
  auto *seen = static_cast<Seen *>(opaque);
  *seen = {timer, 0, 0, seen->calls + 1};
}

void see_free(void *opaque) { ++static_cast<Seen *>(opaque)->calls; }

int calls_without_opaque = 0;

}  // namespace

TEST_CASE("the helpers call what they are given with what they are given") {
  Seen seen;
  EventImpl::run_handle_callback(7, 8, VIR_EVENT_HANDLE_ERROR, see_handle, &seen);
  CHECK(seen.calls == 1);
  CHECK(seen.id == 7);
  CHECK(seen.fd == 8);
  CHECK(seen.events == VIR_EVENT_HANDLE_ERROR);
  EventImpl::run_timeout_callback(9, see_timeout, &seen);
  CHECK(seen.calls == 2);
  CHECK(seen.id == 9);
  EventImpl::free_callback_opaque(see_free, &seen);
  CHECK(seen.calls == 3);
}

TEST_CASE("the helpers do nothing where the callback is null") {
  Seen seen;
  EventImpl::run_handle_callback(1, 1, 1, nullptr, &seen);
  EventImpl::run_timeout_callback(1, nullptr, &seen);
  EventImpl::free_callback_opaque(nullptr, &seen);
  CHECK(seen.calls == 0);
}

TEST_CASE("a callback registered without an opaque is called and a free without one is not") {
  calls_without_opaque = 0;
  EventImpl::run_handle_callback(
      1, 1, 1, [](int, int, int, void *) { ++calls_without_opaque; }, nullptr);
  EventImpl::run_timeout_callback(
      1, [](int, void *) { ++calls_without_opaque; }, nullptr);
  CHECK(calls_without_opaque == 2);
  EventImpl::free_callback_opaque([](void *) { ++calls_without_opaque; }, nullptr);
  CHECK(calls_without_opaque == 2);
}

TEST_CASE("an exception out of a callback goes no further than the helper and is counted") {
  const uint64_t before = stats().exceptions;
  Seen seen;
  EventImpl::run_handle_callback(
      1, 1, 1, [](int, int, int, void *) { throw std::runtime_error("handle"); }, &seen);
  EventImpl::run_timeout_callback(
      1, [](int, void *) { throw 42; }, &seen);
  EventImpl::free_callback_opaque([](void *) { throw std::runtime_error("free"); }, &seen);
  CHECK(stats().exceptions == before + 3);
}
