// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs a hidden case of this test program in a process of its own: for what is fixed once for each process (the
// environment, the registration with libvirt), and for what may crash.
#pragma once

#include <string>

struct Outcome {
  int status;  // as waitpid() has it
  std::string stderr_text;
};

// `log`: what VIRT_UV_LOG is in that process; nullptr: unset. A case that hangs is ended by SIGALRM.
Outcome run_self(const char *hidden_case, const char *log = nullptr);
