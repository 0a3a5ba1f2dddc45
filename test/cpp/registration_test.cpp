/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Who becomes libvirt's event loop, and who is refused: each case in a process of its own, as libvirt takes one only.
 */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <memory>
#include <stdexcept>

#include <virt-uv/adapter.hpp>
#include <virt-uv/event.hpp>

#include "counting_decorator.hpp"
#include "fixtures.hpp"
#include "own_process.hpp"
#include "poll_event_impl.hpp"

using virt_uv::Adapter;
using virt_uv::handle_event;
using virt_uv::register_impl;
using virt_uv::UvEventImpl;

namespace {

/* Answers all with a refusal, by exception or by -1. */
class RefusingImpl final : public virt_uv::EventImpl {
 public:
  explicit RefusingImpl(bool throws) : throws_(throws) {}
  int add_handle(int, int, virEventHandleCallback, void *, virFreeCallback) override { return refuse(); }
  void update_handle(int, int) override { refuse(); }
  int remove_handle(int) override { return refuse(); }
  int add_timeout(int, virEventTimeoutCallback, void *, virFreeCallback) override { return refuse(); }
  void update_timeout(int, int) override { refuse(); }
  int remove_timeout(int) override { return refuse(); }

 private:
  int refuse() const {
    if (throws_) throw std::runtime_error("refused");
    return -1;
  }
  const bool throws_;
};

/* A loop that C code registers, which takes all and does nothing. */
int c_add_handle(int, int, virEventHandleCallback, void *, virFreeCallback) { return 1; }
int c_add_timeout(int, virEventTimeoutCallback, void *, virFreeCallback) { return 1; }
void c_update(int, int) {}
int c_remove(int) { return 0; }
void register_c_functions() {
  virEventRegisterImpl(c_add_handle, c_update, c_remove, c_add_timeout, c_update, c_remove);
}

void nothing(int, void *) {}

}  // namespace

TEST_CASE("libvirt's calls arrive at the registered implementation") {
  if (!in_own_process()) return;
  PollEventImpl poll;
  CountingDecorator counted(poll);
  register_impl(counted);
  const int timeouts_before = counted.calls.add_timeout;
  const int removals_before = counted.calls.remove_timeout;
  Signal signal;

  const int watch = virEventAddHandle(
      signal.get(), 0, [](int, int, int, void *) {}, nullptr, nullptr);
  virEventUpdateHandle(watch, VIR_EVENT_HANDLE_READABLE);
  CHECK(virEventRemoveHandle(watch) == 0);
  const int timer = virEventAddTimeout(-1, nothing, nullptr, nullptr);
  virEventUpdateTimeout(timer, 5);
  CHECK(virEventRemoveTimeout(timer) == 0);

  CHECK(watch >= 1);
  CHECK(timer >= 1);
  CHECK(counted.calls.add_handle == 1);
  CHECK(counted.calls.update_handle == 1);
  CHECK(counted.calls.remove_handle == 1);
  CHECK(counted.calls.add_timeout == timeouts_before + 1);
  CHECK(counted.calls.update_timeout == 1);
  CHECK(counted.calls.remove_timeout == removals_before + 1);
}

TEST_CASE("registering leaves nothing registered with the implementation") {
  if (!in_own_process()) return;
  PollEventImpl poll;
  CountingDecorator counted(poll);
  register_impl(counted);
  CHECK(counted.calls.add_timeout >= 1);
  CHECK(counted.calls.remove_timeout == counted.calls.add_timeout);
  CHECK(counted.calls.add_handle == 0);
}

TEST_CASE("a second registration is refused from anywhere") {
  if (!in_own_process()) return;
  PollEventImpl first, second;
  register_impl(first);
  CHECK(error_of([&] { register_impl(second); }) == virt_uv::make_uv_error(UV_EBUSY));
  CHECK(error_of([&] { register_impl(first); }) == virt_uv::make_uv_error(UV_EBUSY));
  CHECK(error_of([] { register_impl(UvEventImpl::instance()); }) == virt_uv::make_uv_error(UV_EBUSY));
  CHECK(error_of([] { virt_uv::register_default(); }) == virt_uv::make_uv_error(UV_EBUSY));

  int calls = 0;
  {
    virt_uv::Timeout timeout(0, [&calls](int) { ++calls; });
    first.run_once(0);
    CHECK(calls == 1);
  }
  first.run_once(0);  // frees the closure
}

TEST_CASE("a registration is refused where C code registered libvirt's default loop") {
  if (!in_own_process()) return;
  REQUIRE(virEventRegisterDefaultImpl() == 0);
  PollEventImpl poll;
  CHECK(error_of([&] { register_impl(poll); }) == std::errc::device_or_resource_busy);
  CHECK(error_of([] { virt_uv::register_default(); }) == std::errc::device_or_resource_busy);
}

TEST_CASE("a registration is refused where C code registered functions of its own") {
  if (!in_own_process()) return;
  REQUIRE(virInitialize() == 0);
  register_c_functions();
  PollEventImpl poll;
  CHECK(error_of([&] { register_impl(poll); }) == std::errc::device_or_resource_busy);
}

TEST_CASE("a registration is refused where C code attached virt-uv") {
  if (!in_own_process()) return;
  UvLoop loop;
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  PollEventImpl poll;
  CHECK(error_of([&] { register_impl(poll); }) == std::errc::device_or_resource_busy);
  CHECK(error_of([] { register_impl(UvEventImpl::instance()); }) == std::errc::device_or_resource_busy);
  REQUIRE(virt_uv_detach(nullptr, nullptr) == 0);
}

TEST_CASE("a registered implementation that refuses everything still holds its place") {
  if (!in_own_process()) return;
  RefusingImpl refusing(false);
  register_impl(refusing);
  PollEventImpl poll;
  CHECK(error_of([&] { register_impl(poll); }) == std::errc::device_or_resource_busy);
  CHECK(virEventAddTimeout(-1, nothing, nullptr, nullptr) == -1);
}

TEST_CASE("a registration is refused where C code registered functions that refuse everything") {
  if (!in_own_process()) return;
  REQUIRE(virInitialize() == 0);
  virEventRegisterImpl([](int, int, virEventHandleCallback, void *, virFreeCallback) { return -1; }, c_update, c_remove,
                       [](int, virEventTimeoutCallback, void *, virFreeCallback) { return -1; }, c_update, c_remove);
  PollEventImpl poll;
  CHECK(error_of([&] { register_impl(poll); }) == std::errc::device_or_resource_busy);
  CHECK(error_of([&] { register_impl(poll); }) == std::errc::device_or_resource_busy);
}

TEST_CASE("a refused implementation is never called") {
  if (!in_own_process()) return;
  PollEventImpl poll;
  CountingDecorator refused(poll);
  register_c_functions();
  CHECK(error_of([&] { register_impl(refused); }) == std::errc::device_or_resource_busy);
  CHECK(virEventAddTimeout(-1, nothing, nullptr, nullptr) == 1);
  CHECK(refused.calls.add_timeout == 0);
}

TEST_CASE("an exception out of an implementation is answered with -1 and counted") {
  if (!in_own_process()) return;
  RefusingImpl throwing(true);
  register_impl(throwing);
  const uint64_t before = stats().exceptions;
  CHECK(virEventAddTimeout(-1, nothing, nullptr, nullptr) == -1);
  CHECK(virEventAddHandle(
            0, 0, [](int, int, int, void *) {}, nullptr, nullptr) == -1);
  virEventUpdateTimeout(1, 1);
  virEventUpdateHandle(1, 1);
  CHECK(virEventRemoveTimeout(1) == -1);
  CHECK(virEventRemoveHandle(1) == -1);
  CHECK(stats().exceptions == before + 6);
}

TEST_CASE("libvirt's default loop is registered and turned by name") {
  if (!in_own_process()) return;
  virt_uv::register_default();
  int calls = 0;
  virt_uv::Timeout timeout(0, [&calls](int) { ++calls; });
  virt_uv::run_default();
  CHECK(calls == 1);
}

TEST_CASE("a closure is called by whichever loop is registered") {
  if (!in_own_process()) return;
  PollEventImpl poll;
  register_impl(poll);
  Signal signal;
  int destroyed = 0;
  handle_event seen = handle_event::none;
  virt_uv::Watch watch(
      signal.get(), handle_event::readable,
      [&seen, counts = CountsDestruction(destroyed)](int, int, handle_event events) { seen = events; });
  signal.make_readable();
  poll.run_once(0);
  CHECK(seen == handle_event::readable);
  watch.remove();
  CHECK(destroyed == 0);
  poll.run_once(0);
  CHECK(destroyed == 1);
}

TEST_CASE("an add where no loop is registered throws and destroys the closure") {
  if (!in_own_process()) return;
  REQUIRE(virInitialize() == 0);
  Signal signal;
  int destroyed = 0;
  CHECK(error_of([&] { virt_uv::add_timeout(1, [counts = CountsDestruction(destroyed)](int) {}); }).value() == UV_EIO);
  CHECK(destroyed == 1);
  CHECK(error_of([&] {
          virt_uv::add_handle(signal.get(), handle_event::readable,
                              [counts = CountsDestruction(destroyed)](int, int, handle_event) {});
        }).value() == UV_EIO);
  CHECK(destroyed == 2);
}

TEST_CASE("the libuv implementation is always the same object") {
  CHECK(&UvEventImpl::instance() == &UvEventImpl::instance());
}

TEST_CASE("calls made before there is a loop are kept and carried out once there is one") {
  if (!in_own_process()) return;
  register_impl(UvEventImpl::instance());
  Signal signal;
  signal.make_readable();
  int fired = 0, destroyed = 0;
  virt_uv::Timeout timeout(-1, [&fired](int) { ++fired; });
  timeout.update(0);
  virt_uv::Watch watch(signal.get(), handle_event::readable, [&](int, int, handle_event) { ++fired, watch.remove(); });
  virt_uv::Timeout removed(0, [&fired, counts = CountsDestruction(destroyed)](int) { fired += 1000; });
  removed.remove();
  CHECK(virt_uv_loop() == nullptr);

  UvLoop loop;
  UvEventImpl::instance().attach(loop.get());
  CHECK(virt_uv_loop() == loop.get());
  CHECK(fired == 0);
  CHECK(destroyed == 0);
  loop.require_until([&] { return fired >= 2 && !watch && destroyed == 1; });
  CHECK(fired < 1000);
  UvEventImpl::instance().detach();
}

TEST_CASE("the libuv implementation may be registered by name after it was attached but once") {
  if (!in_own_process()) return;
  UvLoop loop;
  UvEventImpl::instance().attach(loop.get());
  PollEventImpl poll;
  CHECK(error_of([&] { register_impl(poll); }).value() == UV_EBUSY);
  CHECK_NOTHROW(register_impl(UvEventImpl::instance()));
  CHECK(error_of([] { register_impl(UvEventImpl::instance()); }).value() == UV_EBUSY);
  UvEventImpl::instance().attach(loop.get());
  CHECK(error_of([] { register_impl(UvEventImpl::instance()); }).value() == UV_EBUSY);
  UvEventImpl::instance().detach();
}

TEST_CASE("attaching is refused where another implementation is registered") {
  if (!in_own_process()) return;
  PollEventImpl poll;
  register_impl(poll);
  UvLoop loop;
  CHECK(error_of([&] { Adapter adapter(loop.get()); }).value() == UV_EBUSY);
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("attaching is refused where C code's functions return an id that virt-uv has given to a timeout of its own") {
  if (!in_own_process()) return;
  REQUIRE(virInitialize() == 0);
  register_c_functions();
  const auto never = [](int, void *) {};
  REQUIRE(virt_uv_add_timeout(-1, never, nullptr, nullptr) == c_add_timeout(-1, never, nullptr, nullptr));
  UvLoop loop;
  CHECK(virt_uv_attach(loop.get(), nullptr) == UV_EBUSY);
}

TEST_CASE("a decorator of the libuv implementation sees all that a libvirt connection asks for") {
  if (!in_own_process()) return;
  CountingDecorator counted(UvEventImpl::instance());
  register_impl(counted);
  UvLoop loop;
  Adapter adapter(loop.get());
  const int timeouts_before = counted.calls.add_timeout;

  virConnectPtr connection = virConnectOpen("test:///default");
  REQUIRE(connection != nullptr);
  int events = 0;
  const virConnectDomainEventCallback on_event = [](virConnectPtr, virDomainPtr, int, int, void *count) {
    return ++*static_cast<int *>(count);
  };
  REQUIRE(virConnectDomainEventRegister(connection, on_event, &events, nullptr) == 0);
  CHECK(counted.calls.add_timeout == timeouts_before + 1);
  virDomainPtr domain = virDomainLookupByName(connection, "test");
  REQUIRE(domain != nullptr);
  REQUIRE(virDomainSuspend(domain) == 0);
  CHECK(events == 0);
  loop.require_until([&] { return events == 1; });
  CHECK(counted.calls.update_timeout >= 2);

  virDomainFree(domain);
  REQUIRE(virConnectDomainEventDeregister(connection, on_event) == 0);
  REQUIRE(virConnectClose(connection) == 0);
  bool idle = false;
  adapter.drain([&idle] { idle = true; });
  loop.require_until([&idle] { return idle; });
  CHECK(counted.calls.remove_timeout == counted.calls.add_timeout);
}
