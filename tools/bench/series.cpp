// SPDX-License-Identifier: LGPL-2.1-or-later
#include "series.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "loop.hpp"

namespace virt_uv::bench {

namespace {

void judge(std::vector<Verdict> &ret, Better better, double target, std::optional<double> reached, const char *of) {
  if (target == 0 || !reached) return;
  bool higher = better == Better::kHigher;
  ret.push_back({fmt::format("{} {:g}{}", higher ? ">=" : "<=", target, of), *reached,
                 higher ? *reached >= target : *reached <= target});
}

}  // namespace

double median(Values values) {
  std::sort(values.begin(), values.end());
  size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double spread(const Values &values) {
  double middle = median(values);
  auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  return middle == 0 ? 0 : (*greatest - *least) / 2 / middle;
}

const Values *Measurement::values(const std::string &loop, const std::string &figure) const {
  auto by_figure = loops.find(loop);
  if (by_figure == loops.end()) return nullptr;
  auto found = by_figure->second.find(figure);
  return found == by_figure->second.end() ? nullptr : &found->second;
}

std::optional<double> Measurement::ratio(const std::string &loop, const std::string &other,
                                         const std::string &figure) const {
  const Values *of = values(loop, figure);
  const Values *to = values(other, figure);
  if (!of || !to || median(*to) == 0) return std::nullopt;
  return median(*of) / median(*to);
}

std::vector<Verdict> verdicts(const Measurement &measurement, const Figure &figure) {
  std::vector<Verdict> ret;
  for (const Target &target : measurement.workload->targets) {
    if (target.size != measurement.size || std::string(figure.name) != target.figure) continue;
    judge(ret, figure.better, target.to_default, measurement.ratio(kOurs, kDefault, figure.name), " of default");
    judge(ret, figure.better, target.to_limit, measurement.ratio(kOurs, kLimit, figure.name), " of uv");
    const Values *ours = measurement.values(kOurs, figure.name);
    if (ours) judge(ret, figure.better, target.absolute, median(*ours), "");
  }
  return ret;
}

}  // namespace virt_uv::bench
