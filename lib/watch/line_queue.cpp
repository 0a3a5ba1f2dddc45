/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "line_queue.hpp"

#include <utility>

namespace virt_uv::watch {

void LineQueue::put(std::string line) {
  if (gap_.count == 0 && bytes_ + line.size() <= limit_) return push(std::move(line));
  if (gap_.count++ == 0) gap_.since = std::chrono::system_clock::now();
  ++dropped_;
  close_gap();
}

std::string LineQueue::take() {
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  bytes_ -= line.size();
  close_gap();
  return line;
}

void LineQueue::push(std::string line) {
  bytes_ += line.size();
  lines_.push_back(std::move(line));
}

void LineQueue::close_gap() {
  if (gap_.count == 0 || bytes_ > limit_ / 2) return;
  std::string line = gap_line_(std::exchange(gap_, {}));
  if (!line.empty()) push(std::move(line));
}

}  // namespace virt_uv::watch
