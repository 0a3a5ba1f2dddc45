// SPDX-License-Identifier: LGPL-2.1-or-later
#include <libvirt/libvirt.h>
#include <sys/utsname.h>
#include <uv.h>

#include <fstream>

#include "loop.hpp"
#include "report.hpp"

namespace virt_uv::bench {

namespace {

using Json = nlohmann::ordered_json;

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

Json machine() {
  utsname kernel;
  uname(&kernel);
  unsigned long libvirt = 0;
  virGetVersion(&libvirt, nullptr, nullptr);
  return {{"processor", processor()},
          {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
          {"kernel", kernel.release},
          {"libvirt", libvirt},
          {"libuv", uv_version_string()}};
}

Json optional(const std::optional<double> &value) { return value ? Json(*value) : Json(); }

Json loop_json(const Measurement &measurement, const std::string &loop, const Figure &figure, const Values &values) {
  return {{"median", median(values)},
          {"spread", spread(values)},
          {"to_default", optional(measurement.ratio(loop, kDefault, figure.name))},
          {"to_uv", optional(measurement.ratio(loop, kLimit, figure.name))},
          {"runs", values}};
}

Json figure_json(const Measurement &measurement, const Figure &figure) {
  Json ret = {{"name", figure.name},
              {"unit", figure.unit},
              {"better", figure.better == Better::kHigher ? "higher" : "lower"},
              {"loops", Json::object()},
              {"targets", Json::array()}};
  for (const std::string &loop : measurement.workload->loops)
    if (const Values *values = measurement.values(loop, figure.name))
      ret["loops"][loop] = loop_json(measurement, loop, figure, *values);
  for (const Verdict &verdict : verdicts(measurement, figure))
    ret["targets"].push_back({{"wanted", verdict.wanted}, {"reached", verdict.reached}, {"met", verdict.met}});
  return ret;
}

Json measurement_json(const Measurement &measurement) {
  Json ret = {{"workload", measurement.workload->name},
              {"what", measurement.workload->what},
              {"size", measurement.size},
              {"figures", Json::array()},
              {"failures", measurement.failures}};
  for (const Figure &figure : measurement.workload->figures) ret["figures"].push_back(figure_json(measurement, figure));
  return ret;
}

}  // namespace

Json report_json(const Options &options, const std::vector<Measurement> &measurements) {
  Json ret = {{"machine", machine()},
              {"runs", options.runs},
              {"seconds", options.seconds},
              {"smoke", options.smoke},
              {"measurements", Json::array()}};
  for (const Measurement &measurement : measurements) ret["measurements"].push_back(measurement_json(measurement));
  return ret;
}

}  // namespace virt_uv::bench
