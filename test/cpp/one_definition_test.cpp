/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The C++ headers in one program with the core's own objects, as in a host that is linked with a static libvirt-uv.
 *
 * Where a name means one thing in the headers and another in the core, the linker keeps one definition for both, and an
 * object is built by the constructor of another type. The link says so (-Wodr), and AddressSanitizer sees it run. */
#include <memory>

#include <virt-uv/adapter.hpp>
#include <virt-uv/event.hpp>

#include "fixtures.hpp"

namespace {

/* What the headers own things by. Each is default-constructed first, on the heap. */
struct Owners {
  virt_uv::Adapter adapter;
  virt_uv::Watch watch;
  virt_uv::Timeout timeout;
};

}  // namespace

TEST_CASE("the C++ headers and the core's objects in one program have one definition of each name") {
  UvLoop loop;
  Signal signal;
  int writable = 0, expired = 0;
  const auto owners = std::make_unique<Owners>();
  owners->adapter = virt_uv::Adapter(loop.get());
  owners->watch = virt_uv::Watch(signal.get(), virt_uv::handle_event::writable,
                                 [&](int, int, virt_uv::handle_event) { ++writable; });
  owners->timeout = virt_uv::Timeout(0, [&](int) { ++expired; });
  loop.require_until([&] { return writable > 0 && expired > 0; });
}
