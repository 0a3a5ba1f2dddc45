/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A bounded queue of lines and the fd that they are written to, one batch at a time. */
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <vector>

#include "byte_stream.hpp"
#include "line_queue.hpp"

namespace events {

using virt_uv::watch::Gap;
using virt_uv::watch::LineQueue;

class LineWriter {
 public:
  LineWriter(std::size_t limit, std::function<std::string(const Gap &)> gap_line)
      : queue_(limit, std::move(gap_line)) {}

  /* Returns 0, or libuv's error. In the loop are called: `failed`, once, when a write fails, and nothing is written any
   * more; `idle`, when the last line has been written. */
  int open(uv_loop_t *loop, int fd, std::function<void(int)> failed, std::function<void()> idle);

  void put(std::string line);

  /* Nothing waits, or nothing can be written any more. */
  bool is_idle() const { return has_failed_ || (batch_ends_.empty() && queue_.is_empty()); }

  /* Lines that were taken and have not been written in full. */
  std::size_t unwritten() const;
  const LineQueue &queue() const { return queue_; }

  void close(std::function<void()> closed);
  void restore();

 private:
  void write_batch();

  LineQueue queue_;
  std::unique_ptr<ByteStream> stream_;
  std::function<void(int)> failed_;
  std::function<void()> idle_;
  std::vector<std::size_t> batch_ends_; /* where each line of the batch that is being written ends */
  bool has_failed_ = false, closing_ = false;
};

}  // namespace events
