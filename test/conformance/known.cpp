// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See known.hpp.
#include "known.hpp"

namespace conformance {

const std::vector<KnownDifference> &known_differences() {
  static const std::vector<KnownDifference> all = {
      {"spins on a closed fd", "19", "default",
       "an fd that is closed while watched is not reported, and the loop spins",
       "GLib polls the number and gets POLLNVAL, which its watch does not ask for"},
      {"starves frees", "24", "default", "the ff of a timeout waits as long as something is ready",
       "this ff is a GLib idle source, which runs only when nothing of higher priority is ready"},
      {"refuses what is not open", "19", "virt-uv",
       "add returns -1 for an fd that is not open, which the default loop accepts",
       "each watch polls a duplicate of the fd, and an fd that is not open cannot be duplicated"},
      {"keeps the file open", "19", "virt-uv", "a watch whose fd was closed still reports the events of the file",
       "the duplicate keeps the file open until the watch is removed"},
  };
  return all;
}

}  // namespace conformance
