/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --exec: a program that is run for each record, as libvirt runs its hooks. One at a time, in order; records wait in
 * the queue meanwhile. It gets the record as one line of JSON on standard input and each member as an environment
 * variable: VIRT_UV_EVENT, VIRT_UV_DOMAIN, and so on. */
#pragma once

#include "line_queue.hpp"
#include "sink.hpp"

namespace events {

using virt_uv::watch::Gap;
using virt_uv::watch::LineQueue;

class ExecSink final : public Sink {
 public:
  ExecSink(std::string program, std::size_t queue_bytes);

  int open(uv_loop_t *loop, SinkOwner *owner) override;
  void put(const virt_uv::watch::Record &record) override;
  bool is_idle() const override { return has_failed_ || (!running_ && queue_.is_empty()); }
  std::size_t waiting() const override { return queue_.size() + (running_ ? 1 : 0); }
  std::size_t queued_bytes() const override { return queue_.bytes(); }
  std::uint64_t dropped() const override { return queue_.dropped(); }
  const char *obstacle() const override { return "the program of --exec has not ended"; }
  void close(std::function<void()> closed) override { closed(); }

 private:
  void run_next();
  void fail(int error);
  void write_input();
  void note_exit(int64_t status, int signal);
  void part_ended();

  std::string program_;
  LineQueue queue_;
  uv_loop_t *loop_ = nullptr;
  SinkOwner *owner_ = nullptr;
  bool running_ = false, has_failed_ = false;
  int parts_ = 0; /* of the run that have not been closed: the process and the pipe */
  uv_process_t process_;
  uv_pipe_t input_;
  uv_write_t request_;
  std::string line_;
};

}  // namespace events
