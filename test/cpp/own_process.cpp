/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "own_process.hpp"

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "catch.hpp"

namespace {

constexpr char kMark[] = "VIRT_UV_TEST_OWN_PROCESS";
constexpr unsigned kLimitSeconds = 60; /* SIGALRM ends a case that hangs */

int run_again(std::string name) {
  std::string program = "/proc/self/exe";
  char* arguments[] = {program.data(), name.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO); /* stdout is the first one's report */
  REQUIRE(setenv(kMark, "1", 1) == 0);
  pid_t child = -1;
  REQUIRE(posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ) == 0);
  REQUIRE(unsetenv(kMark) == 0);
  posix_spawn_file_actions_destroy(&actions);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

bool in_own_process() {
  if (getenv(kMark) != nullptr) {
    alarm(kLimitSeconds);
    return true;
  }
  const std::string name = Catch::getResultCapture().getCurrentTestName();
  REQUIRE(name.find_first_of(",*\\\"[]~") == std::string::npos); /* these have a meaning for Catch2 */
  CHECK(run_again(name) == 0);
  return false;
}
