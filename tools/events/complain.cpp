/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "complain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace events {

void complain(std::string message) {
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::string line = fmt::format("virt-uv-events: {}\n", message);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace events
