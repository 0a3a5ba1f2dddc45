/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Standard output. A reader that goes away is noticed at once, not only at the next event, which may be hours away: a
 * pipe without a reader is in error, and the library that this program shows can watch for just that.
 *
 * Nobody left to read a pipe is the ordinary end of `virt-uv-events | head`: status 0. A socket's reader that goes is
 * the journal or a supervisor that has died: status 1, so that the service is started again. */
#pragma once

#include "line_writer.hpp"
#include "record_format.hpp"
#include "sink.hpp"

namespace events {

class Output final : public Sink {
 public:
  Output(RecordFormat format, std::size_t queue_bytes);

  int open(uv_loop_t *loop, SinkOwner *owner) override;
  void put(const virt_uv::watch::Record &record) override;
  bool is_idle() const override { return writer_.is_idle(); }
  std::size_t waiting() const override { return writer_.unwritten(); }
  std::size_t queued_bytes() const override { return writer_.queue().bytes(); }
  std::uint64_t dropped() const override { return writer_.queue().dropped(); }
  const char *obstacle() const override { return "standard output is not read"; }
  void close(std::function<void()> closed) override;
  void restore() override { writer_.restore(); }

 private:
  void watch_reader();
  void unwatch_reader();
  void reader_gone();
  void fail(int error);

  RecordFormat format_;
  LineWriter writer_;
  SinkOwner *owner_ = nullptr;
  int watch_ = -1;
};

}  // namespace events
