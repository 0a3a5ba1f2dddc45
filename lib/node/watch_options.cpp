/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch_options.h"

#include <libvirt/libvirt.h>

#include <stdexcept>
#include <utility>

#include "watch/event_choice.hpp"
#include "watch/record.hpp"

namespace virt_uv::node {
namespace {

using watch::Fields;

std::string built_with() {
  return std::to_string(LIBVIR_VERSION_NUMBER / 1000000) + "." + std::to_string(LIBVIR_VERSION_NUMBER / 1000 % 1000);
}

watch::EventChoice choose(const std::vector<std::string> &names) {
  try {
    return watch::choose_events(names);
  } catch (const watch::UnknownEvent &error) {
    std::string known;
    for (const watch::EventKind &kind : watch::all_event_kinds())
      known += (known.empty() ? "" : ", ") + std::string(kind.name);
    throw std::invalid_argument(std::string(error.what()) + " in libvirt " + built_with() +
                                ", which this addon was built with; there are: " + known);
  }
}

}  // namespace

Watcher::Options parse_watch_options(const std::string &json) {
  const Fields fields = Fields::parse(json);
  Watcher::Options options;
  options.uris = fields.at("uris").get<std::vector<std::string>>();
  options.queue_bytes = fields.value("queueBytes", std::size_t{watch::LineQueue::kDefaultLimit});
  options.wants_all_kinds = !fields.contains("events");
  watch::EventChoice choice = choose(fields.value("events", std::vector<std::string>()));
  watch::ConnectionOptions &connections = options.connections;
  connections.kinds = std::move(choice.kinds);
  connections.expected = std::move(choice.named);
  connections.states = fields.at("state").get<bool>();
  connections.reconnect = fields.at("reconnect").get<bool>();
  if (fields.contains("keepalive")) {
    const Fields &keepalive = fields["keepalive"];
    connections.keepalive = {keepalive.at("interval").get<int>(), keepalive.at("count").get<unsigned>(), true};
  }
  return options;
}

}  // namespace virt_uv::node
