// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loops there are, one line for each.
#include "loop.hpp"

#include <stdexcept>

namespace conformance {

std::unique_ptr<Loop> make_default_loop();
std::unique_ptr<Loop> make_virt_uv_loop();
std::unique_ptr<Loop> make_poll_loop();

namespace {

struct Driver {
  const char *name;
  std::unique_ptr<Loop> (*make)();
};

constexpr Driver kDrivers[] = {
    {"default", make_default_loop},
    {"virt-uv", make_virt_uv_loop},
    {"poll", make_poll_loop},
    {"run", make_default_loop},  // under virt-uv-run: test/run
};

}  // namespace

std::vector<std::string> loop_names() {
  std::vector<std::string> names;
  for (const Driver &driver : kDrivers) names.emplace_back(driver.name);
  return names;
}

std::unique_ptr<Loop> make_loop(const std::string &name) {
  std::string known;
  for (const Driver &driver : kDrivers) {
    if (name == driver.name) return driver.make();
    known += std::string(known.empty() ? "" : ", ") + driver.name;
  }
  throw std::runtime_error("there is no loop '" + name + "'; choose one of: " + known);
}

}  // namespace conformance
