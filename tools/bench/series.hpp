// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the runs of one workload at one size gave: for each loop and figure the runs' values, of which the median
// stands for all.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "workload.hpp"

namespace virt_uv::bench {

using Values = std::vector<double>;

double median(Values values);         // of one or more
double spread(const Values &values);  // half of what lies between the least and the greatest, as a share of the median

struct Measurement {
  const Workload *workload;
  int size;
  std::map<std::string, std::map<std::string, Values>> loops;  // by loop, by figure
  std::map<std::string, std::string> failures;                 // by loop: why a run gave nothing

  const Values *values(const std::string &loop, const std::string &figure) const;  // NULL: none

  // A loop's median to another's; nothing where one is missing, or the other's is 0.
  std::optional<double> ratio(const std::string &loop, const std::string &other, const std::string &figure) const;
};

// A target, as ours stands to it.
struct Verdict {
  std::string wanted;  // ">= 1.5 of default"
  double reached;
  bool met;
};

// Empty where there is no target or no figure of ours.
std::vector<Verdict> verdicts(const Measurement &measurement, const Figure &figure);

}  // namespace virt_uv::bench
