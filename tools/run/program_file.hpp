// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The file that a command names, and whether a library can be preloaded into it.
//
// The dynamic linker is silent where it preloads nothing: into a program that gets rights of another user (setuid,
// setgid, file capabilities), and into one that it does not load at all, as that is statically linked. One for another
// architecture cannot use the library. All of that is read from the file beforehand; for a script, from its
// interpreter's. A file that may be executed and not read is taken for one that can be preloaded.
#pragma once

#include <string>
#include <vector>

namespace run {

// As env(1), nice(1) and others have them.
enum ExitStatus { kFailed = 125, kNotExecutable = 126, kNotFound = 127 };

struct Refusal {
  ExitStatus status;
  std::string why;
};

// The words of the command with which it is to be executed: the first is the path of a file into which a library can be
// preloaded. A script of env(1)'s (`#!/usr/bin/env python3`) is executed by the interpreter that env(1) would find, as
// env(1) would not pass the library on. Throws Refusal.
struct Execution {
  std::string path;
  std::vector<std::string> words;
};
Execution execution_of(const std::vector<std::string> &command);

}  // namespace run
