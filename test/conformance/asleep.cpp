// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See asleep.hpp.
#include "asleep.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

namespace conformance {
namespace {

bool sleeps(long thread) {
  std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(stat, line);
  // The state stands behind the name, which is in parentheses and may hold anything.
  const std::size_t behind_name = line.rfind(')');
  return behind_name != std::string::npos && line.compare(behind_name, 3, ") S") == 0;
}

}  // namespace

void while_asleep(World &world, const std::function<void()> &act, const std::function<bool()> &done) {
  const long loop_thread = syscall(SYS_gettid);
  std::thread other([&] {
    while (!sleeps(loop_thread)) std::this_thread::yield();
    act();
  });
  world.wait_until(done);
  other.join();
}

}  // namespace conformance
