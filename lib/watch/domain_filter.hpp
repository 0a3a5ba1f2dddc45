/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Domains chosen by name or by UUID. The choice is made here and not by libvirt, whose filter wants a domain that
 * exists at the time: one that is defined later counts too. */
#pragma once

#include <string>
#include <vector>

#include "record_fwd.hpp"

namespace virt_uv::watch {

class DomainFilter {
 public:
  /* Each is a name or a UUID, with or without hyphens. */
  void add(const std::string &name_or_uuid) { wanted_.push_back({name_or_uuid, plain_uuid(name_or_uuid)}); }

  bool is_empty() const { return wanted_.empty(); }

  /* Records that are about no domain pass. */
  bool passes(const Fields &fields) const;

 private:
  struct Wanted {
    std::string name, uuid;
  };

  static std::string plain_uuid(const std::string &text);

  std::vector<Wanted> wanted_; /* none: every domain */
};

}  // namespace virt_uv::watch
