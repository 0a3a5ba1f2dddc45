/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What -e says: names of event kinds and globs, separated by commas. */
#pragma once

#include <set>
#include <string>
#include <vector>

#include "event_kinds.hpp"

namespace events {

struct EventChoice {
  std::vector<const virt_uv::watch::EventKind *> kinds; /* each once */
  std::set<const virt_uv::watch::EventKind *> named;    /* those that a name, and no glob, has chosen */
};

/* Throws std::invalid_argument where a name or a glob stands for nothing. Empty: every kind. */
EventChoice choose_events(const std::vector<std::string> &lists);

}  // namespace events
