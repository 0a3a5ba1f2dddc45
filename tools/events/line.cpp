/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "line.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "event_kinds.hpp"

namespace events {
namespace {

/* As `virsh event --timestamp` spells it. */
std::string timestamp(std::chrono::system_clock::time_point time) {
  using std::chrono::milliseconds;
  auto ms = std::chrono::duration_cast<milliseconds>(time.time_since_epoch());
  auto fraction = static_cast<int>(ms.count() % 1000);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}+0000", fmt::gmtime(std::chrono::system_clock::to_time_t(time)),
                     fraction);
}

}  // namespace

std::string text_line(const std::string &uri, const Event &event) {
  return fmt::format("{} {}: {}\n", timestamp(event.time), uri, event.text);
}

std::string json_line(const std::string &uri, const Event &event) {
  Fields line = {{"time", timestamp(event.time)}, {"uri", uri}, {"event", event.kind->name}};
  line.update(event.fields);
  /* Names and paths are bytes to libvirt; JSON is UTF-8: what is not gets U+FFFD. */
  return line.dump(-1, ' ', false, Fields::error_handler_t::replace) + "\n";
}

}  // namespace events
