/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The stay on a loop: begun, refused, handed over and ended. */
#include <functional>

#include <virt-uv/adapter.hpp>

#include "fixtures.hpp"

using virt_uv::Adapter;

TEST_CASE("an adapter is attached to its loop for as long as it lives") {
  UvLoop loop;
  {
    const Adapter adapter(loop.get());
    CHECK(adapter);
    CHECK(adapter.loop() == loop.get());
    CHECK(virt_uv_loop() == loop.get());
  }
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("a default adapter is attached to nothing") {
  const Adapter adapter;
  CHECK_FALSE(adapter);
  CHECK(adapter.loop() == nullptr);
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("an adapter for a second loop is refused by exception and by error code") {
  UvLoop loop, other;
  const Adapter adapter(loop.get());
  CHECK(error_of([&] { Adapter second(other.get()); }) == virt_uv::make_uv_error(UV_EBUSY));
  std::error_code error;
  const Adapter second(other.get(), nullptr, error);
  CHECK(error == virt_uv::make_uv_error(UV_EBUSY));
  CHECK_FALSE(second);
  CHECK(virt_uv_loop() == loop.get());
}

TEST_CASE("success clears an error code that was set") {
  UvLoop loop;
  std::error_code error = virt_uv::make_uv_error(UV_EIO);
  const Adapter adapter(loop.get(), nullptr, error);
  CHECK_FALSE(error);
  CHECK(adapter);
}

TEST_CASE("a bad option is refused") {
  UvLoop loop;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.flags = ~0u;
  CHECK(error_of([&] { Adapter adapter(loop.get(), &options); }) == std::errc::invalid_argument);
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("a moved adapter detaches once and where it went") {
  UvLoop loop;
  Adapter first(loop.get());
  {
    Adapter second(std::move(first));
    CHECK(second.loop() == loop.get());
    CHECK_FALSE(first);
    first = std::move(second);
    CHECK_FALSE(second);
  }
  CHECK(virt_uv_loop() == loop.get());
  first = Adapter();
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("done is called in the loop once and destroyed") {
  UvLoop loop;
  Adapter adapter(loop.get());
  int calls = 0, destroyed = 0;
  adapter.detach([&calls, counts = CountsDestruction(destroyed)] { ++calls; });
  CHECK_FALSE(adapter);
  CHECK(calls == 0);
  loop.require_until([&] { return destroyed == 1; });
  CHECK(calls == 1);
}

TEST_CASE("detaching what is not attached is refused and destroys done uncalled") {
  Adapter adapter;
  int calls = 0, destroyed = 0;
  CHECK(error_of([&] { adapter.detach([&calls, counts = CountsDestruction(destroyed)] { ++calls; }); }).value() ==
        UV_ENOTCONN);
  CHECK(destroyed == 1);
  CHECK(calls == 0);
  CHECK(error_of([] { virt_uv::UvEventImpl::instance().detach(); }).value() == UV_ENOTCONN);
}

TEST_CASE("a second detach is refused while the first is under way") {
  UvLoop loop;
  Adapter adapter(loop.get());
  Adapter same(loop.get());
  bool done = false;
  adapter.detach([&done] { done = true; });
  std::error_code error;
  int destroyed = 0;
  same.detach([counts = CountsDestruction(destroyed)] { FAIL("called"); }, error);
  CHECK(error == virt_uv::make_uv_error(UV_EALREADY));
  CHECK(destroyed == 1);
  loop.require_until([&done] { return done; });
}

TEST_CASE("an empty function is refused where it is given and not where it would be called") {
  UvLoop loop;
  Adapter adapter(loop.get());
  CHECK(error_of([&] { adapter.drain(std::function<void()>()); }) == std::errc::invalid_argument);
  CHECK(error_of([&] { adapter.detach(std::function<void()>()); }) == std::errc::invalid_argument);
  CHECK(adapter);
}

TEST_CASE("an exception out of done or idle is counted and the loop goes on") {
  UvLoop loop;
  Adapter adapter(loop.get());
  const uint64_t before = stats().exceptions;
  int destroyed = 0;
  adapter.drain([counts = CountsDestruction(destroyed)] { throw std::runtime_error("idle"); });
  loop.require_until([&] { return destroyed == 1; });
  adapter.detach([counts = CountsDestruction(destroyed)] { throw std::runtime_error("done"); });
  loop.require_until([&] { return destroyed == 2; });
  CHECK(stats().exceptions == before + 2);
}

TEST_CASE("idle waits for what is registered to be removed and freed") {
  UvLoop loop;
  Adapter adapter(loop.get());
  int destroyed = 0, fired = 0;
  bool idle = false;
  virt_uv::Timeout timeout(0, [&fired, counts = CountsDestruction(destroyed)](int) { ++fired; });
  adapter.drain([&] {
    idle = true;
    CHECK(destroyed == 1);
  });
  loop.require_until([&fired] { return fired >= 3; });
  CHECK_FALSE(idle);
  timeout.remove();
  loop.require_until([&idle] { return idle; });
}

TEST_CASE("what is registered goes on in the next loop") {
  int fired = 0;
  virt_uv::Timeout timeout;
  {
    UvLoop loop;
    Adapter adapter(loop.get());
    timeout = virt_uv::Timeout(0, [&fired](int) { ++fired; });
    loop.require_until([&fired] { return fired >= 1; });
    bool done = false;
    adapter.detach([&done] { done = true; });
    loop.require_until([&done] { return done; });
  }
  const int before = fired;
  UvLoop loop;
  Adapter adapter(loop.get());
  loop.require_until([&] { return fired > before; });
  timeout.remove();
  bool idle = false;
  adapter.drain([&idle] { idle = true; });
  loop.require_until([&idle] { return idle; });
}
