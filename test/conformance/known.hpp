// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Where a loop is known to differ from the contract, or from libvirt's default loop: the one table of them.
//
// A scenario that shows such a difference expects it of the loop it is named for: where the difference is gone, the
// scenario fails, and its line here has to go. The traces of these scenarios are not compared.
#pragma once

#include <vector>

namespace conformance {

struct KnownDifference {
  const char *key;
  const char *row;
  const char *loop;
  const char *what;
  const char *reason;
};

const std::vector<KnownDifference> &known_differences();

// Is the loop under test one that differs in this? Marks the scenario that asks. Aborts when there is no such key.
bool known_difference(const char *key);

}  // namespace conformance
