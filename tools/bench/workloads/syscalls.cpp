// SPDX-License-Identifier: LGPL-2.1-or-later
//
// System calls for each add and remove within one turn: `strace -c` over counted-churn with N pairs in a turn, less the
// same number of turns with none, so that start-up and the turns themselves fall out.
#include <sstream>

#include "../body.hpp"
#include "../process.hpp"
#include "workloads.hpp"

namespace virt_uv::bench {

namespace {

constexpr double kStraceSeconds = 60;

// The table ends with a line "  1234 total".
double total_of(const std::string &table) {
  std::istringstream words(table);
  std::string previous;
  for (std::string word; words >> word; previous = word)
    if (word == "total") return std::stod(previous);
  throw std::runtime_error("strace printed no total");
}

struct Counted {
  double calls;
  double pairs;
};

Counted count(const Plan &plan, int size) {
  Process strace({"strace", "-f", "-c", "-U", "calls,name", "-o", "/dev/fd/1", own_program(), "--child",
                  kCountedChurn.name, "--size", std::to_string(size), "--loop", plan.loop});
  std::string out = strace.output(kStraceSeconds);
  return {total_of(out), figures_of(out).at("pairs")};
}

Results run(const Plan &plan) {
  Counted with = count(plan, plan.size);
  Counted without = count(plan, 0);
  return {{"calls", (with.calls - without.calls) / with.pairs}};
}

}  // namespace

const Workload kSyscalls = {
    "syscalls",
    "system calls for each add and remove within one turn",
    {100},
    {{"calls", "calls", Better::kLower}},
    {{100, "calls", 0, 0, 2}},
    {kDefault, kGlib, kOurs, kLimit},
    run,
};

}  // namespace virt_uv::bench
