/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a libvirt event is once it has been decoded: a kind, the words that virsh prints for it, and its values by name.
 */
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace events {

struct EventKind;

/* In the order in which they are printed: what the event is about first. */
using Fields = nlohmann::ordered_json;

struct Event {
  const EventKind *kind;
  std::string text; /* as `virsh event` prints it, without the newline at the end */
  Fields fields;
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
};

}  // namespace events
