// SPDX-License-Identifier: LGPL-2.1-or-later
//
// workloads-program: runs one workload on one loop and prints its figures as a line of JSON. virt-uv-bench starts it
// for each run, and is what a person calls; by hand it is for perf, strace and the like.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "event_rounds.hpp"
#include "workload.hpp"

namespace virt_uv::bench {

void fail(const char *what) {
  fprintf(stderr, "workloads-program: %s\n", what);
  _Exit(1);
}

namespace {

// clang-format off
const std::map<std::string, Results (*)(const Plan &plan)> kWorkloads = {
    {"wake", wake},          {"wake-timers", wake_timers},   {"active", active}, {"idle", idle},
    {"churn", churn},        {"life", life},                 {"timers", timers}, {"ids", ids},
    {"unused", unused},      {"cross-thread", cross_thread}, {"memory", memory}, {"remote", remote},
    {"latency", latency},    {"connect", connect_close},     {"crowd", crowd},   {"fleet", fleet},
    {"quiet", quiet},        {"attach", attach},
};
// clang-format on

struct Arguments {
  std::string workload;
  Plan plan;
  bool describe = false;
  std::string trigger;
};

void declare(CLI::App &app, Arguments &arguments) {
  app.add_option("workload", arguments.workload, "What to run");
  app.add_option("--loop", arguments.plan.loop, "The loop to run it on");
  app.add_option("--size", arguments.plan.size, "N, the number of watches, timeouts, threads or connections");
  app.add_option("--seconds", arguments.plan.seconds, "Measured time");
  app.add_option("--iterations", arguments.plan.iterations, "Measured iterations, instead of time");
  app.add_option("--uri", arguments.plan.uri, "Of the libvirtd");
  app.add_option("--trigger-input", arguments.plan.trigger_input, "fd of the pipe to the process that causes events");
  app.add_option("--trigger-output", arguments.plan.trigger_output, "fd of the pipe from that process");
  app.add_flag("--describe", arguments.describe, "Print this build's loops and versions as JSON, and end");
  app.add_option("--trigger", arguments.trigger, "Be the process that causes events, on the libvirtd of this URI");
}

nlohmann::json description() {
  unsigned long libvirt = 0;
  virGetVersion(&libvirt, nullptr, nullptr);
  return {{"loops", loop_names()}, {"libvirt", libvirt}, {"libuv", uv_version_string()}};
}

void act(const Arguments &arguments) {
  if (!arguments.trigger.empty()) return serve_triggers(arguments.trigger);
  auto workload = kWorkloads.find(arguments.workload);
  require(arguments.describe || workload != kWorkloads.end(), "no workload has this name");
  std::cout << (arguments.describe ? description() : nlohmann::json(workload->second(arguments.plan))) << std::endl;
}

int run(int argc, char **argv) {
  Arguments arguments;
  CLI::App app("Runs one workload of virt-uv-bench on one loop", "workloads-program");
  declare(app, arguments);
  CLI11_PARSE(app, argc, argv);
  try {
    act(arguments);
    return 0;
  } catch (const std::exception &error) {
    fprintf(stderr, "workloads-program: %s\n", error.what());
    return 1;
  }
}

}  // namespace

}  // namespace virt_uv::bench

int main(int argc, char **argv) { return virt_uv::bench::run(argc, argv); }
