/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * virt-uv-events: watches libvirt connections in one libuv loop and prints their events. */
#include <fmt/format.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "complain.hpp"
#include "options.hpp"
#include "output.hpp"
#include "pool_job.hpp"
#include "watcher.hpp"

namespace {

constexpr int kBadInput = 2;

int print(const std::string &text) {
  int error = events::Output::write(text);
  if (error == 0 || error == EPIPE) return 0;
  events::complain(fmt::format("stdout can't be written: {}", std::strerror(error)));
  return 1;
}

int watch(const events::Options &options) {
  /* libvirt would print each error itself; here each is said once, where it matters. */
  virSetErrorFunc(nullptr, [](void *, virErrorPtr) {});
  /* One job for each connection at a time, and one of the demonstration's. */
  auto jobs = static_cast<unsigned>(options.uris.size()) + (options.demo ? 1 : 0);
  events::set_pool_size(std::max(jobs, 1U));
  return events::Watcher(options).run();
}

}  // namespace

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_IGN); /* a pipe without a reader is an error of write() */
  events::CommandLine line = events::parse_command_line(argc, argv);
  if (!line.error.empty()) {
    events::complain(line.error + " (--help tells more)");
    return kBadInput;
  }
  return line.options ? watch(*line.options) : print(line.text);
}
