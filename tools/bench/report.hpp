// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Measurements as text, one block for each as it comes, and as JSON, all of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "campaign.hpp"
#include "series.hpp"

namespace virt_uv::bench {

// Every workload with its sizes, loops and figures.
std::string list_text();

std::string measurement_text(const Measurement &measurement);

// Which targets were met, and each that was not.
std::string targets_text(const std::vector<Measurement> &measurements);

nlohmann::ordered_json report_json(const Options &options, const std::vector<Measurement> &measurements);

}  // namespace virt_uv::bench
