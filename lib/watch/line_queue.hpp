/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Lines that wait to be written, up to a number of bytes. What does not fit is dropped and counted, and a line that
 * says how many takes its place. Once it has begun to drop, the queue takes nothing until it is half empty: so there is
 * one such line for each time that the reader was too slow, and not one for every few lines. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "gap.hpp"

namespace virt_uv::watch {

class LineQueue {
 public:
  /* In bytes: some 30,000 events as text. */
  static constexpr std::size_t kDefaultLimit = 4194304;
  static constexpr std::size_t kLeastLimit = 4096;

  /* `gap_line` makes the line that takes the place of what was dropped. Empty: none. */
  LineQueue(std::size_t limit, std::function<std::string(const Gap &)> gap_line)
      : limit_(limit), gap_line_(std::move(gap_line)) {}

  void put(std::string line);

  bool is_empty() const { return lines_.empty(); }
  std::size_t size() const { return lines_.size(); }
  std::size_t bytes() const { return bytes_; }
  std::uint64_t dropped() const { return dropped_; } /* since the beginning */

  const std::string &at(std::size_t place) const { return lines_[place]; }
  std::string take();

 private:
  void push(std::string line);
  void close_gap();

  std::size_t limit_;
  std::function<std::string(const Gap &)> gap_line_;
  std::deque<std::string> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  Gap gap_;
};

}  // namespace virt_uv::watch
