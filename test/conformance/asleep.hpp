// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Another thread that acts while the loop sleeps. That it sleeps is seen in /proc, not hoped for.
//
// The other thread checks nothing itself, as Catch2 takes checks from one thread only.
#pragma once

#include <functional>

#include "world.hpp"

namespace conformance {

// Does `act` on another thread while the loop sleeps, and runs the loop until `done`.
void while_asleep(World &world, const std::function<void()> &act, const std::function<bool()> &done);

}  // namespace conformance
