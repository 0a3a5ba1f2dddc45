// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library's log lines, kept for a test to look at. Any thread.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "virt-uv/virt-uv.h"

class Lines {
 public:
  // For virt_uv_options::log, with a Lines as the opaque.
  static void take(virt_uv_log_level level, const char *message, void *opaque) {
    Lines &self = *static_cast<Lines *>(opaque);
    std::lock_guard<std::mutex> lock(self.mutex_);
    self.lines_.push_back({level, message});
  }

  // How many lines of that level hold `part`?
  int count(virt_uv_log_level level, const std::string &part) const {
    std::lock_guard<std::mutex> lock(mutex_);
    int found = 0;
    for (const Line &line : lines_)
      if (line.level == level && line.text.find(part) != std::string::npos) ++found;
    return found;
  }

  void clear() {
    std::lock_guard<std::mutex> lock(mutex_);
    lines_.clear();
  }

 private:
  struct Line {
    virt_uv_log_level level;
    std::string text;
  };

  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};
