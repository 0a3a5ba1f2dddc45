// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace run {

struct Options {
  bool shows_stats = false;
  bool follows = false;              // children get the library too
  std::vector<std::string> command;  // not empty
};

// What the command line asks for: options to run a program with, a text to print, or the end.
struct CommandLine {
  std::optional<Options> options;
  std::string text;   // --help, --version
  std::string error;  // bad input, in one line
};

CommandLine parse_command_line(int argc, const char *const *argv);

}  // namespace run
