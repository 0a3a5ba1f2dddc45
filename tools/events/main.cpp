/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * virt-uv-events: watches libvirt connections in one libuv loop and prints their events. */
#include <fmt/format.h>
#include <libvirt/virterror.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "fd_limit.hpp"
#include "log.hpp"
#include "options.hpp"
#include "program.hpp"

namespace {

using events::print_error;

int print(std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<std::size_t>(written));
    else if (errno == EPIPE)
      return events::kDone;
    else if (errno != EINTR)
      return print_error(fmt::format("stdout cannot be written: {}", std::strerror(errno))), events::kFailed;
  }
  return events::kDone;
}

int watch(const events::Options &options) {
  /* libvirt would print each error itself; here each is told once, where it matters. */
  virSetErrorFunc(nullptr, [](void *, virErrorPtr) {});
  std::string too_many = events::make_room_for(options.uris);
  if (!too_many.empty()) return print_error("-c: " + too_many), events::kBadInput;
  return events::Program(options).run();
}

}  // namespace

int main(int argc, char **argv) {
  events::fill_standard_fds();
  std::signal(SIGPIPE, SIG_IGN); /* a pipe without a reader is an error of write() */
  events::CommandLine line = events::parse_command_line(argc, argv);
  if (!line.error.empty()) return print_error(line.error + " (--help tells more)"), events::kBadInput;
  return line.options ? watch(*line.options) : print(line.text);
}
