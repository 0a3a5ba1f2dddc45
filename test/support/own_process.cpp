/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "own_process.hpp"

#include <stdlib.h>

#include <string>

#include "catch.hpp"
#include "self.hpp"

bool in_own_process() {
  static constexpr char kMark[] = "VIRT_UV_TEST_OWN_PROCESS";
  if (getenv(kMark) != nullptr) return true;
  const std::string name = Catch::getResultCapture().getCurrentTestName();
  REQUIRE(name.find_first_of(",*\\\"[]~") == std::string::npos); /* these have a meaning for Catch2 */
  REQUIRE(setenv(kMark, "1", 1) == 0);
  const Outcome outcome = run_self(name.c_str());
  REQUIRE(unsetenv(kMark) == 0);
  INFO(outcome.stderr_text);
  CHECK(outcome.status == 0);
  return false;
}
