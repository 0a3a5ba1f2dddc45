// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Catch2's main for version 2, compiled once for all programs; version 3 brings its own.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
