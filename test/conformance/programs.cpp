// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs programs on one loop, one after another, for random_programs.py:
//
//     virt-uv-conformance-programs LOOP
//
// A program comes on stdin, a line for each operation (interpreter.hpp) and `end`; what it showed goes to stdout, and
// `end`.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "interpreter.hpp"

namespace {

using namespace conformance;

constexpr unsigned kPatienceSeconds = 10;

extern "C" void out_of_patience(int) {
  static constexpr char kLine[] = "WRONG: the program waits for something that does not come\nend\n";
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, kLine, sizeof kLine - 1);
  _exit(1);
}

// False at the end of the input.
bool read_program(std::vector<std::string> &program) {
  program.clear();
  for (std::string line; std::getline(std::cin, line); program.push_back(line)) {
    if (line == "end") return true;
  }
  return false;
}

void run_program(Loop &loop, const std::vector<std::string> &program) {
  // Never deleted, but in reach of LeakSanitizer: a loop that is wrong may still call into it.
  static std::vector<World *> &worlds = *new std::vector<World *>;
  World &world = *worlds.emplace_back(new World(loop, "program"));
  Interpreter interpreter(world);
  alarm(kPatienceSeconds);
  for (const std::string &line : program) interpreter.run(line);
  world.finish();
  alarm(0);
  for (const std::string &line : world.trace()) fmt::print("{}\n", line);
  for (const std::string &line : world.violations()) fmt::print("WRONG: {}\n", line);
}

int run(const std::string &loop_name) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, out_of_patience);
  const std::unique_ptr<Loop> loop = make_loop(loop_name);
  loop->set_up();
  for (std::vector<std::string> program; read_program(program);) {
    run_program(*loop, program);
    fmt::print("end\n");
    std::fflush(stdout);
  }
  loop->tear_down();
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: {} {}\n", argv[0], fmt::join(loop_names(), "|"));
    return 2;
  }
  try {
    return run(argv[1]);
  } catch (const std::exception &error) {
    fmt::print("WRONG: {}\nend\n", error.what());
    return 1;
  }
}
