/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain_filter.hpp"

#include <algorithm>
#include <cctype>

#include "record.hpp"

namespace virt_uv::watch {

/* Without hyphens, in lower case. */
std::string DomainFilter::plain_uuid(const std::string &text) {
  std::string uuid;
  for (char c : text)
    if (c != '-') uuid += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return uuid;
}

bool DomainFilter::passes(const Fields &fields) const {
  if (wanted_.empty() || !fields.contains("domain")) return true;
  const Fields &name = fields["domain"];
  std::string uuid = plain_uuid(fields.value("uuid", ""));
  return std::any_of(wanted_.begin(), wanted_.end(),
                     [&](const Wanted &wanted) { return name == wanted.name || uuid == wanted.uuid; });
}

}  // namespace virt_uv::watch
