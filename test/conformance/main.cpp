// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs the scenarios on one loop:
//
//     virt-uv-conformance LOOP [--trace FILE] [Catch2's options]
//     virt-uv-conformance --known
//
// --trace writes what each scenario saw, for compare.py: a line of JSON for each, with its name, its trace and the key
// of the known difference that it shows. --known prints the known differences as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "known.hpp"
#include "scenario.hpp"

namespace conformance {

int run_catch(int argc, const char *const *argv);

namespace {

// A scenario that takes so long waits for something that will not come.
constexpr unsigned kPatienceSeconds = 30;

std::unique_ptr<Loop> loop;
std::string loop_name;
std::ofstream trace_file;
std::vector<std::string> differences_asked;

// Catch2 would report it from within a signal handler, and may hang there.
const char *scenario_under_way = "";

extern "C" void out_of_patience(int) {
  static constexpr char kLine[] = "\nthe scenario waits for something that does not come: ";
  for (const char *text : {kLine, scenario_under_way, "\n"}) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) break;
  }
  _exit(1);
}

void write_trace(const World &world) {
  if (!trace_file.is_open()) return;
  trace_file << nlohmann::json{{"scenario", world.scenario()},
                               {"trace", world.trace()},
                               {"differences", differences_asked}}
             << std::endl;
}

}  // namespace

bool known_difference(const char *key) {
  for (const KnownDifference &known : known_differences()) {
    if (known.key != std::string(key)) continue;
    differences_asked.emplace_back(key);
    return known.loop == (loop_name == "run" ? "virt-uv" : loop_name);
  }
  fmt::print(stderr, "known.cpp has no difference '{}'\n", key);
  abort();
}

void run_scenario(const char *name, void (*body)(World &world)) {
  auto world = std::make_unique<World>(*loop, name);
  differences_asked.clear();
  scenario_under_way = name;
  alarm(kPatienceSeconds);
  try {
    body(*world);
    world->finish();
  } catch (...) {
    // The loop may still call into this world, so it stays.
    World *left = world.release();
    try {
      left->finish();
    } catch (const std::exception &error) {
      fmt::print(stderr, "after '{}': {}\n", name, error.what());
    }
    alarm(0);
    throw;
  }
  alarm(0);
  write_trace(*world);
  const std::vector<std::string> violations = world->violations();
  for (const std::string &violation : violations) UNSCOPED_INFO(violation);
  REQUIRE(violations.empty());
}

int print_known_differences() {
  nlohmann::json all = nlohmann::json::array();
  for (const KnownDifference &known : known_differences()) {
    all.push_back(
        {{"key", known.key}, {"row", known.row}, {"loop", known.loop}, {"what", known.what}, {"reason", known.reason}});
  }
  fmt::print("{}\n", all.dump());
  return 0;
}

int run(int argc, char **argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: {} {} [--trace FILE] [Catch2's options]\n", argv[0], fmt::join(loop_names(), "|"));
    return 2;
  }
  loop_name = argv[1];
  if (loop_name == "--known") return print_known_differences();
  std::vector<const char *> rest{argv[0]};
  for (int i = 2; i < argc; ++i) {
    if (std::string(argv[i]) == "--trace" && i + 1 < argc) {
      trace_file.open(argv[++i]);
    } else {
      rest.push_back(argv[i]);
    }
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, out_of_patience);
  loop = make_loop(loop_name);
  loop->set_up();
  const int failed = run_catch(static_cast<int>(rest.size()), rest.data());
  if (failed == 0) loop->tear_down();
  return failed;
}

}  // namespace conformance

int main(int argc, char **argv) {
  try {
    return conformance::run(argc, argv);
  } catch (const std::exception &error) {
    fmt::print(stderr, "{}: {}\n", argv[0], error.what());
    return 2;
  }
}
