// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <cmath>

#include "loop.hpp"
#include "report.hpp"

namespace virt_uv::bench {

namespace {

template <class List>
std::string joined(const List &list) {
  std::string ret;
  for (const auto &each : list) ret += fmt::format("{}{}", ret.empty() ? "" : ", ", each);
  return ret;
}

// Three digits or more; thousands apart, to be read at a glance.
std::string number(double value) {
  if (std::abs(value) < 10) return fmt::format("{:.2f}", value);
  if (std::abs(value) < 100) return fmt::format("{:.1f}", value);
  std::string ret = fmt::format("{:.0f}", value);
  for (size_t at = ret.size(); at > 3;) ret.insert(at -= 3, ",");
  return ret;
}

std::string ratio_text(const std::optional<double> &ratio) { return ratio ? fmt::format("{:.3g}", *ratio) : "-"; }

std::string row(const Measurement &measurement, const std::string &loop, const Figure &figure) {
  const Values *values = measurement.values(loop, figure.name);
  if (!values) return "";
  return fmt::format("  {:<12}{:>14} {:<9}+-{:>5.1f}%{:>12}{:>10}\n", loop, number(median(*values)), figure.unit,
                     spread(*values) * 100, ratio_text(measurement.ratio(loop, kDefault, figure.name)),
                     ratio_text(measurement.ratio(loop, kLimit, figure.name)));
}

std::string verdict_text(const Verdict &verdict) {
  return fmt::format("{:.3g}, target {}: {}", verdict.reached, verdict.wanted, verdict.met ? "met" : "MISSED");
}

}  // namespace

std::string list_text() {
  std::string ret;
  for (const Workload *each : workloads())
    ret += fmt::format("{:<13} {} (N: {}; {})\n", each->name, each->what, joined(each->sizes), joined(each->loops));
  return ret;
}

std::string measurement_text(const Measurement &measurement) {
  std::string ret =
      fmt::format("{}/{}: {}\n", measurement.workload->name, measurement.size, measurement.workload->what);
  for (const Figure &figure : measurement.workload->figures) {
    ret += fmt::format("  {:<12}{:>14} {:<9}{:>8}{:>12}{:>10}\n", figure.name, "median", "", "spread", "to default",
                       "to uv");
    for (const std::string &loop : measurement.workload->loops) ret += row(measurement, loop, figure);
    for (const Verdict &verdict : verdicts(measurement, figure)) ret += "  virt-uv: " + verdict_text(verdict) + "\n";
  }
  for (const auto &[loop, why] : measurement.failures) ret += fmt::format("  {}: NOT MEASURED: {}\n", loop, why);
  return ret + "\n";
}

std::string targets_text(const std::vector<Measurement> &measurements) {
  std::string missed;
  int met = 0;
  for (const Measurement &measurement : measurements) {
    for (const Figure &figure : measurement.workload->figures) {
      for (const Verdict &verdict : verdicts(measurement, figure)) {
        if (verdict.met)
          met++;
        else
          missed += fmt::format("{}/{} {}: {}\n", measurement.workload->name, measurement.size, figure.name,
                                verdict_text(verdict));
      }
    }
  }
  return fmt::format("targets met: {}\n{}", met, missed);
}

}  // namespace virt_uv::bench
