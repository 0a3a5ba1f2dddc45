/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which events are watched, by names of event kinds and globs, separated by commas: `virt-uv-events -e`. */
#pragma once

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "event_kinds.hpp"

namespace virt_uv::watch {

struct EventChoice {
  std::vector<const EventKind *> kinds; /* each once */
  std::set<const EventKind *> named;    /* those that a name, and no glob, has chosen */
};

/* A name or a glob stands for nothing. */
struct UnknownEvent : std::invalid_argument {
  explicit UnknownEvent(const std::string &word);
};

/* Throws UnknownEvent, or std::invalid_argument where a list is empty. No list: every kind. */
EventChoice choose_events(const std::vector<std::string> &lists);

}  // namespace virt_uv::watch
