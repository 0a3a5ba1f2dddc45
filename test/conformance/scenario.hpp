// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A scenario is a Catch2 test case with a World, named after the rows of doc/contract.md that it shows, and a sentence:
//
//     CONFORMANCE("row 11: removing a disabled watch succeeds") { ... world.remove(...) ... }
//
// Its end is part of it: everything is removed and freed, and no standing rule was broken.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include "world.hpp"

namespace conformance {

void run_scenario(const char *name, void (*body)(World &world));

}  // namespace conformance

#define CONFORMANCE_IN(body, name)                           \
  static void body(conformance::World &world);               \
  TEST_CASE(name) { conformance::run_scenario(name, body); } \
  static void body([[maybe_unused]] conformance::World &world)
#define CONFORMANCE_NAMED(line, name) CONFORMANCE_IN(conformance_scenario_##line, name)
#define CONFORMANCE_AT(line, name) CONFORMANCE_NAMED(line, name)
#define CONFORMANCE(name) CONFORMANCE_AT(__LINE__, name)
