// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Catch2, of either major version.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
