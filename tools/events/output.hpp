/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stdout. Each event is written at once, and waits for a reader that is slow. A reader that goes away is noticed at
 * once too, not only at the next event, which may be hours away: a pipe without a reader is in error, and the
 * library that this program is there to show can watch for just that. */
#pragma once

#include <functional>
#include <string_view>

namespace events {

class Output {
 public:
  /* 0, or the errno of the failure. */
  static int write(std::string_view text);

  /* Calls `gone` in the loop once nobody can read what is written any more. For an attached loop. Where the watch can't
   * be had, the next write finds out. */
  void watch_reader(std::function<void()> gone);
  void unwatch_reader();

 private:
  std::function<void()> gone_;
  int watch_ = -1;
};

}  // namespace events
