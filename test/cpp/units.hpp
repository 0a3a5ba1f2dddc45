/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The headers seen from another place of the same process: a second translation unit, and a module of its own that
 * hides what it can. */
#pragma once

#include <system_error>

#include <virt-uv/adapter.hpp>

struct Elsewhere {
  virt_uv::EventImpl *instance;
  const std::error_category *category;
  std::error_code (*register_impl)(virt_uv::EventImpl &impl); /* what it throws, or success */
};

Elsewhere second_unit();

/* The one symbol of the module, of this type. */
using ModuleEntry = Elsewhere();
