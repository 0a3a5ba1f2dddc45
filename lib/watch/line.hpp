/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A record as one object of JSON, or as text. */
#pragma once

#include <chrono>
#include <string>

#include "record_fwd.hpp"

namespace virt_uv::watch {

/* RFC 3339, UTC, with milliseconds: "2026-01-31T12:00:00.123Z". */
std::string timestamp(std::chrono::system_clock::time_point time);

/* "TIME URI: event 'lifecycle' for domain 'test': Suspended Paused". Where virsh prints several lines for an event,
 * so does this. Without the newline at the end. */
std::string text_line(const Record &record);

/* The whole record. A string that is not UTF-8 has U+FFFD for what is not, and stands in the member "bytes" in full: by
 * its JSON pointer, in hexadecimal. */
Fields json_object(Record record);

/* One line, without the newline. */
std::string json_line(Record record);

/* JSON of any value, on one line. */
std::string json_text(const Fields &value);

}  // namespace virt_uv::watch
