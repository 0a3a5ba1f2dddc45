// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The options end at the program's name: what comes behind is the program's, whatever it looks like.
#include "options.hpp"

#include <fmt/format.h>
#include <uv.h>
#include <virt-uv/virt-uv.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace run {
namespace {

// How many words there are before the program's name: argv[0] and the options, with `--` if it is there.
int words_before_program(int argc, const char *const *argv) {
  int i = 1;
  while (i < argc && argv[i][0] == '-' && std::string(argv[i]) != "--") ++i;
  return i;
}

std::string version_text() {
  return fmt::format("virt-uv-run {} (libuv {})\n", virt_uv_version_string(), uv_version_string());
}

}  // namespace

CommandLine parse_command_line(int argc, const char *const *argv) {
  CLI::App app("Runs a program with libvirt's default event loop replaced by libuv's.", "virt-uv-run");
  Options options;
  bool version = false;
  app.add_flag("--stats", options.shows_stats,
               "Print a line of statistics on standard error when the program exits, and on SIGUSR2 where the program "
               "leaves that signal alone");
  app.add_flag("--follow", options.follows, "Replace the loop in the programs that the program starts, too");
  app.add_flag("--version", version, "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
  app.add_option("PROGRAM", options.command, "The program to run, with its arguments")->type_name("[ARGS...]");
  const int before = words_before_program(argc, argv);
  const bool has_mark = before < argc && std::string(argv[before]) == "--";
  CommandLine result;
  try {
    app.parse(before, argv);
    options.command.assign(argv + std::min(before + (has_mark ? 1 : 0), argc), argv + argc);
    if (version)
      result.text = version_text();
    else if (options.command.empty() || options.command.front().empty())
      result.error = "name the program to run";
    else
      result.options = options;
  } catch (const CLI::CallForHelp &) {
    result.text = app.help();
  } catch (const CLI::ParseError &error) {
    result.error = error.what();
  }
  return result;
}

}  // namespace run
