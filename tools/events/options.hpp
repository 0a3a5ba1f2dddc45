/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker_address.hpp"
#include "domain_filter.hpp"
#include "event_kinds.hpp"
#include "keepalive.hpp"
#include "record_format.hpp"

namespace events {

struct Options {
  std::vector<std::string> uris; /* at least one; "": libvirt's own default */
  std::vector<const virt_uv::watch::EventKind *> kinds;
  std::set<const virt_uv::watch::EventKind *> expected; /* those that were asked for by name */
  virt_uv::watch::DomainFilter domains;
  RecordFormat format = RecordFormat::text();
  std::optional<std::string> exec;
  std::optional<BrokerAddress> to; /* the program that is run for each record */
  std::size_t queue_bytes = 0;
  bool states = false;
  bool demo = false;
  bool quiet = false;
  bool reconnect = true;
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> timeout_ms;
  std::optional<std::uint64_t> stats_ms;
  virt_uv::watch::Keepalive keepalive;
};

/* What the command line asks for: either options to watch with, or a text to print, or the end. */
struct CommandLine {
  std::optional<Options> options;
  std::string text;  /* --help, --version, --list */
  std::string error; /* bad input, in one line */
};

CommandLine parse_command_line(int argc, const char *const *argv);

}  // namespace events
