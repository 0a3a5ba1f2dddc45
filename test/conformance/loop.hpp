// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loop under test: how it is registered with libvirt, how it is turned, how it is given back.
//
// Scenarios know no more of a loop than this: all else goes through libvirt's public virEvent* functions. A process has
// one, because libvirt can't unregister. To add one: write loop_NAME.cpp, and a line in loops.cpp and in meson.build.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace conformance {

enum class Wait { kNo, kYes };

class Loop {
 public:
  virtual ~Loop() = default;

  // Registers with libvirt, on the thread that will run the loop. Throws std::runtime_error.
  virtual void set_up() = 0;

  // One iteration: polls once and dispatches what is ready. Wait::kYes: sleeps until something is.
  virtual void run_iteration(Wait wait) = 0;

  // Gives everything back, when all that was registered has been removed. Throws std::runtime_error when it can't.
  virtual void tear_down() = 0;
};

std::vector<std::string> loop_names();

// Throws std::runtime_error, naming the loops there are, when there is none of that name.
std::unique_ptr<Loop> make_loop(const std::string &name);

}  // namespace conformance
