/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * record.hpp without the JSON library, which is large, for headers that only pass records on. */
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace virt_uv::watch {

struct EventKind;
struct Record;

/* In the order in which they are printed: what the record is about first. */
using Fields = nlohmann::ordered_json;

/* What a line for people is about. */
enum class Severity { kInfo, kWarning, kError };

}  // namespace virt_uv::watch
