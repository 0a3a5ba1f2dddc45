/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An event as it is printed: as text, or as one JSON object. */
#pragma once

#include <string>

#include "event.hpp"

namespace events {

/* "TIME URI: event 'lifecycle' for domain 'test': Suspended Paused". Where virsh prints several lines for an event, so
 * does this. With the newline. */
std::string text_line(const std::string &uri, const Event &event);

/* One line, whatever the event's text is. With the newline. */
std::string json_line(const std::string &uri, const Event &event);

}  // namespace events
