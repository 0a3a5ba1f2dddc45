// SPDX-License-Identifier: LGPL-2.1-or-later
#include "self.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace {

constexpr unsigned kLimitSeconds = 60;

// Of the link itself valgrind would execute valgrind; what it says when it is read is the program.
const char *own_path() {
  static char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) std::abort();
  path[length] = '\0';
  return path;
}

[[noreturn]] void become(const char *hidden_case, const char *log, int stderr_fd) {
  if (log != nullptr)
    setenv("VIRT_UV_LOG", log, 1);
  else
    unsetenv("VIRT_UV_LOG");
  dup2(stderr_fd, STDERR_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  alarm(kLimitSeconds);
  execl(own_path(), "self", hidden_case, static_cast<char *>(nullptr));
  _exit(127);
}

}  // namespace

Outcome run_self(const char *hidden_case, const char *log) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) become(hidden_case, log, ends[1]);
  close(ends[1]);
  Outcome outcome{-1, {}};
  char buffer[512];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    outcome.stderr_text.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  waitpid(child, &outcome.status, 0);
  return outcome;
}
