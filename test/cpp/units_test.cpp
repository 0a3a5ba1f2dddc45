/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One process has one registration, from wherever the headers are included. */
#include <dlfcn.h>

#include <memory>

#include "counting_decorator.hpp"
#include "fixtures.hpp"
#include "own_process.hpp"
#include "poll_event_impl.hpp"
#include "units.hpp"

using virt_uv::UvEventImpl;

namespace {

/* UNITS_MODULE: the module's path, by the build. */
Elsewhere module() {
  void *handle = dlopen(UNITS_MODULE, RTLD_NOW | RTLD_LOCAL);
  INFO((handle == nullptr ? dlerror() : "loaded"));
  REQUIRE(handle != nullptr);
  auto *entry = reinterpret_cast<ModuleEntry *>(dlsym(handle, "units_module"));
  REQUIRE(entry != nullptr);
  return entry();
}

void check_that_registrations_exclude_each_other(const Elsewhere &elsewhere) {
  PollEventImpl poll, other;
  virt_uv::register_impl(poll);
  CHECK(elsewhere.register_impl(other) == std::errc::device_or_resource_busy);
  CHECK(elsewhere.register_impl(*elsewhere.instance) == std::errc::device_or_resource_busy);
}

void check_that_what_is_registered_there_is_attached_here(const Elsewhere &elsewhere) {
  CountingDecorator counted(UvEventImpl::instance());
  REQUIRE_FALSE(elsewhere.register_impl(counted));
  UvLoop loop;
  const virt_uv::Adapter adapter(loop.get());
  const int before = counted.calls.add_timeout;
  virt_uv::Timeout timeout(-1, [](int) {});
  CHECK(counted.calls.add_timeout == before + 1);
  timeout.remove();
}

}  // namespace

TEST_CASE("two translation units share the instance and the category") {
  CHECK(second_unit().instance == &UvEventImpl::instance());
  CHECK(second_unit().category == &virt_uv::uv_category());
}

TEST_CASE("an error of a module with hidden symbols means the same here") {
  CHECK(std::error_code(UV_EBUSY, *module().category) == std::errc::device_or_resource_busy);
}

TEST_CASE("registrations of two translation units exclude each other") {
  if (in_own_process()) check_that_registrations_exclude_each_other(second_unit());
}

TEST_CASE("registrations of two modules exclude each other") {
  if (in_own_process()) check_that_registrations_exclude_each_other(module());
}

TEST_CASE("what one translation unit registers another attaches") {
  if (in_own_process()) check_that_what_is_registered_there_is_attached_here(second_unit());
}

TEST_CASE("what one module registers another attaches") {
  if (in_own_process()) check_that_what_is_registered_there_is_attached_here(module());
}
