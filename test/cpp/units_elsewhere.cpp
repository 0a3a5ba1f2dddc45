/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Compiled twice: as the second unit of the test program, and, with ENTRY defined, as the module. */
#include <virt-uv/adapter.hpp>
#include <virt-uv/event.hpp>

#include "units.hpp"

#ifdef ENTRY
extern "C" __attribute__((visibility("default"))) Elsewhere ENTRY();
#else
#define ENTRY second_unit
#endif

static std::error_code register_here(virt_uv::EventImpl &impl) {
  try {
    virt_uv::register_impl(impl);
  } catch (const std::system_error &error) {
    return error.code();
  }
  return {};
}

Elsewhere ENTRY() { return {&virt_uv::UvEventImpl::instance(), &virt_uv::uv_category(), register_here}; }
