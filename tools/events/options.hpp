/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "event_kinds.hpp"
#include "session.hpp"

namespace events {

struct Options {
  std::vector<std::string> uris; /* at least one; "": libvirt's own default */
  std::vector<const EventKind *> kinds;
  bool json = false;
  bool demo = false;
  bool reconnect = true;
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> timeout_ms;
  Keepalive keepalive;
};

/* What the command line asks for: either options to watch with, or a text to print, or the end. */
struct CommandLine {
  std::optional<Options> options;
  std::string text;  /* --help, --version, --list */
  std::string error; /* bad input, in one line */
};

CommandLine parse_command_line(int argc, const char *const *argv);

}  // namespace events
