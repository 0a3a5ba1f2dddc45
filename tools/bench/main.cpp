// SPDX-License-Identifier: LGPL-2.1-or-later
//
// virt-uv-bench: libvirt's event loops measured beside each other, and beside libuv itself.
//
// The program runs itself: once for each run (--child), which prints its figures as a line of JSON, and as the process
// that causes events (--trigger). Everything else is the parent's: campaign.hpp for the order of runs, report.hpp for
// what comes of it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "campaign.hpp"
#include "report.hpp"
#include "trigger.hpp"

namespace virt_uv::bench {

namespace {

struct Arguments {
  std::vector<std::string> names;
  bool all = false;
  bool list = false;
  std::string json;
  Options options;
  std::string child;
  std::string trigger;
  Plan plan;
};

// "wake" or "wake/8000".
Choice choice_of(const std::string &name) {
  size_t slash = name.find('/');
  const Workload &chosen = workload(name.substr(0, slash));
  if (slash == std::string::npos) return {&chosen, 0};
  for (int size : chosen.sizes)
    if (name.substr(slash + 1) == std::to_string(size)) return {&chosen, size};
  throw std::runtime_error("'" + name.substr(0, slash) + "' has no size '" + name.substr(slash + 1) +
                           "': --list shows the sizes");
}

std::vector<Choice> choices(const Arguments &arguments) {
  std::vector<Choice> ret;
  if (arguments.all)
    for (const Workload *each : workloads()) ret.push_back({each, 0});
  else
    for (const std::string &name : arguments.names) ret.push_back(choice_of(name));
  if (ret.empty()) throw std::runtime_error("name the workloads to run, or say --all; --list shows them");
  return ret;
}

void write_json(const std::string &path, const nlohmann::ordered_json &json) {
  if (path == "-") {
    std::cout << json.dump(2) << std::endl;
    return;
  }
  std::ofstream file(path);
  file << json.dump(2) << "\n";
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

// The table goes out as it grows, unless the JSON has standard output.
int measure(const Arguments &arguments) {
  bool print = arguments.json != "-";
  std::vector<Measurement> measurements;
  bool good = Campaign(arguments.options).run(choices(arguments), [&](const Measurement &measurement) {
    if (print) std::cout << measurement_text(measurement) << std::flush;
    measurements.push_back(measurement);
  });
  if (print) std::cout << targets_text(measurements);
  if (!arguments.json.empty()) write_json(arguments.json, report_json(arguments.options, measurements));
  return good ? 0 : 1;
}

int act(const Arguments &arguments) {
  if (!arguments.trigger.empty()) {
    serve_triggers(arguments.trigger);
    return 0;
  }
  if (!arguments.child.empty()) {
    print_figures(workload(arguments.child).run(arguments.plan));
    return 0;
  }
  if (arguments.list) {
    std::cout << list_text();
    return 0;
  }
  return measure(arguments);
}

void declare(CLI::App &app, Arguments &arguments) {
  app.add_option("workload", arguments.names, "What to measure: a name, or name/N for one size");
  app.add_flag("--all", arguments.all, "Every workload");
  app.add_flag("--list", arguments.list, "Show the workloads and end");
  app.add_option("--runs", arguments.options.runs, "Runs of each loop, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", arguments.options.seconds, "Measured time of a run; workloads with a daemon take longer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", arguments.json,
                 "Write the figures to this file too; -: to standard output, instead of the table");
  app.add_flag("--smoke", arguments.options.smoke,
               "One short run of each at a small size: does it work? The figures mean nothing");
  // What the program tells itself; an empty group keeps them out of --help.
  app.add_option("--child", arguments.child)->group("");
  app.add_option("--loop", arguments.plan.loop)->group("");
  app.add_option("--size", arguments.plan.size)->group("");
  app.add_option("--uri", arguments.plan.uri)->group("");
  app.add_option("--trigger", arguments.trigger)->group("");
}

}  // namespace

int bench_main(int argc, char **argv) {
  Arguments arguments{};
  CLI::App app("Measures libvirt's event loops beside each other, and beside libuv itself", "virt-uv-bench");
  declare(app, arguments);
  CLI11_PARSE(app, argc, argv);
  arguments.plan.seconds = arguments.options.seconds;
  try {
    return act(arguments);
  } catch (const std::exception &error) {
    fprintf(stderr, "virt-uv-bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace virt_uv::bench

int main(int argc, char **argv) { return virt_uv::bench::bench_main(argc, argv); }
