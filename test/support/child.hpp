// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A child of fork() that runs a function of the test's.
#pragma once

#include <sys/types.h>

#include <functional>

// Runs `fn` in a child, which ends with the status that it returns. A child that hangs is ended by SIGALRM.
pid_t fork_child(const std::function<int()> &fn);

// Waits for the child's end, and returns what waitpid(2) says of it.
int status_of(pid_t child);
