// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See known.hpp.
#include "known.hpp"

namespace conformance {

const std::vector<KnownDifference> &known_differences() {
  static const std::vector<KnownDifference> all = {
      {"spins on a closed fd", "19", "default",
       "an fd that is closed while watched is not reported, and the loop spins",
       "GLib polls the number, gets POLLNVAL, and its watch does not ask for that"},
      {"starves frees", "24", "default", "the ff of a timeout waits for as long as something is ready",
       "GLib runs idle sources, of which this ff is one, only when nothing of higher priority is ready"},
      {"refuses what is not open", "19", "virt-uv",
       "add answers -1 for an fd that is not open, where the default loop takes it",
       "each watch polls a duplicate of the fd, and what is not open can't be duplicated"},
      {"keeps the file open", "19", "virt-uv", "a watch whose fd was closed goes on showing what happens to the file",
       "the duplicate keeps the file open until the watch is removed"},
  };
  return all;
}

}  // namespace conformance
