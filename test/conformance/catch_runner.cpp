// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Catch2 itself, which Catch2 2 brings in one header: apart, as it takes longer to compile than all the rest.
#define CATCH_CONFIG_RUNNER
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace conformance {

int run_catch(int argc, const char *const *argv) { return Catch::Session().run(argc, argv); }

}  // namespace conformance
