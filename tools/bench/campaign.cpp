// SPDX-License-Identifier: LGPL-2.1-or-later
#include "campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "loop.hpp"

namespace virt_uv::bench {

namespace {

constexpr double kSmokeSeconds = 0.05;
constexpr double kSetUpSeconds = 120;                       // opening 500 connections on a loaded machine, above all
constexpr const char *kPythonProgram = "/usr/bin/python3";  // Debian's, which has python3-libvirt
constexpr const char *kScript = "libvirtaio-bench.py";

// Beside this program in a build tree, installed elsewhere.
std::string script_path() {
  std::filesystem::path beside = std::filesystem::path(own_program()).replace_filename(kScript);
  return std::filesystem::exists(beside) ? beside.string() : std::string(VIRT_UV_BENCH_SCRIPT_DIR "/") + kScript;
}

std::vector<std::string> program(const std::string &loop) {
  if (loop == kPython) return {kPythonProgram, script_path(), "--trigger-program", own_program()};
  return {own_program(), "--loop", loop};
}

// A loop that this build has.
bool available(const std::string &loop) {
  const std::vector<std::string> &names = loop_names();
  return loop == kPython || std::find(names.begin(), names.end(), loop) != names.end();
}

std::vector<std::string> loops_of(const Workload &workload) {
  std::vector<std::string> ret = workload.loops;
  ret.erase(std::remove_if(ret.begin(), ret.end(), [](const std::string &loop) { return !available(loop); }),
            ret.end());
  return ret;
}

// A run that gives no figure, or one that cannot be, is a failed run.
void check_figures(const Workload &workload, const Results &results) {
  for (const Figure &figure : workload.figures) {
    auto found = results.find(figure.name);
    if (found == results.end()) throw std::runtime_error(fmt::format("gave no '{}'", figure.name));
    if (!std::isfinite(found->second) || found->second < 0)
      throw std::runtime_error(fmt::format("gave {} {} for '{}'", found->second, figure.unit, figure.name));
  }
}

}  // namespace

bool Campaign::run(const std::vector<Choice> &choices, const std::function<void(const Measurement &)> &done) {
  bool good = true;
  for (const Choice &choice : choices) {
    for (int size : choice.workload->sizes) {
      if (choice.size != 0 && choice.size != size) continue;
      Measurement measurement = measure(*choice.workload, size);
      good = good && measurement.failures.empty();
      done(measurement);
    }
  }
  return good;
}

Measurement Campaign::measure(const Workload &workload, int size) {
  if (workload.needs_daemon && !daemon_) daemon_ = std::make_unique<Daemon>();
  Measurement ret{&workload, size, {}, {}};
  if (workload.fixed_seconds > 0)
    measure_side_by_side(ret);
  else
    measure_in_turns(ret);
  return ret;
}

void Campaign::measure_side_by_side(Measurement &ret) {
  std::vector<std::string> loops = loops_of(*ret.workload);
  std::vector<Process> processes;
  for (const std::string &loop : loops) processes.push_back(start(ret, loop));
  for (size_t i = 0; i < loops.size(); i++) collect(ret, loops[i], processes[i]);
}

void Campaign::measure_in_turns(Measurement &ret) {
  for (int run = 0; run < (options_.smoke ? 1 : options_.runs); run++) {
    for (const std::string &loop : loops_of(*ret.workload)) {
      if (ret.failures.count(loop)) continue;
      Process process = start(ret, loop);
      collect(ret, loop, process);
    }
  }
}

Process Campaign::start(const Measurement &measurement, const std::string &loop) {
  const Workload &workload = *measurement.workload;
  int size = options_.smoke ? std::min(measurement.size, workload.largest_smoke_size) : measurement.size;
  std::vector<std::string> argv = program(loop);
  argv.insert(argv.end(), {"--child", workload.name, "--size", std::to_string(size), "--seconds",
                           std::to_string(seconds(workload))});
  if (workload.needs_daemon) argv.insert(argv.end(), {"--uri", daemon_->uri()});
  return Process(argv);
}

void Campaign::collect(Measurement &ret, const std::string &loop, Process &process) {
  try {
    Results results = figures_of(process.output(seconds(*ret.workload) * 2 + kSetUpSeconds));
    check_figures(*ret.workload, results);
    for (const auto &[figure, value] : results) ret.loops[loop][figure].push_back(value);
  } catch (const std::exception &error) {
    ret.failures[loop] = error.what();
  }
}

double Campaign::seconds(const Workload &workload) const {
  if (options_.smoke) return kSmokeSeconds;
  return workload.fixed_seconds > 0 ? workload.fixed_seconds : options_.seconds * workload.seconds_factor;
}

}  // namespace virt_uv::bench
