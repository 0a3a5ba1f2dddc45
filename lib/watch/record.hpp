/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A record: one thing that a watcher is told of. Most are libvirt's events; the others say how the watching goes (a
 * connection was opened or lost, a domain's present state). All have a time, a URI, a name and values by name. */
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "record_fwd.hpp"

namespace virt_uv::watch {

struct Record {
  std::string event; /* an event kind's name, or "connection", "state", ... */
  std::string text;  /* for people; of an event: as `virsh event` prints it, without the newline at the end */
  Fields fields = Fields::object();
  const EventKind *kind = nullptr; /* of a libvirt event */
  std::string uri = {};
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
};

}  // namespace virt_uv::watch
