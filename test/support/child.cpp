// SPDX-License-Identifier: LGPL-2.1-or-later
#include "child.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "catch.hpp"

namespace {

constexpr unsigned kLimitSeconds = 60;

// Not by exit(), as what the parent has buffered and opened is not the child's to end: except where coverage is
// counted, which is written out at exit() only.
[[noreturn]] void end(int status) {
#ifdef TEST_COUNTS_COVERAGE
  std::exit(status);
#else
  _exit(status);
#endif
}

}  // namespace

pid_t fork_child(const std::function<int()> &fn) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(kLimitSeconds);
    end(fn());
  }
  REQUIRE(child > 0);
  return child;
}

int status_of(pid_t child) {
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}
