/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Lines for people, on stderr. They are taken from any thread, with any lock held, and written from the loop: a
 * terminal that is stopped, or a pipe that is full, holds up nobody. What does not fit in a small queue is counted.
 *
 * A line is "TIME virt-uv-events: MESSAGE". The journal has times of its own and takes a priority instead
 * (sd-daemon(3)).
 */
#pragma once

#include <uv.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "line_writer.hpp"
#include "record_fwd.hpp"

namespace events {

using virt_uv::watch::Severity;

/* "virt-uv-events: MESSAGE" on stderr, at once: for a program that has no loop. */
void print_error(const std::string &message);

class Log {
 public:
  Log();
  Log(const Log &) = delete;
  Log &operator=(const Log &) = delete;

  /* On the loop's thread. Returns 0, or libuv's error. */
  int open(uv_loop_t *loop, bool quiet);

  /* One line, whatever newlines are in the message. Any thread. `quiet` leaves out what is Severity::kInfo. */
  void write(Severity severity, const std::string &message);

  /* On the loop's thread. */
  bool is_idle();
  void close(std::function<void()> closed);
  void restore() { writer_.restore(); }

 private:
  void pass_on();

  bool quiet_ = false, journal_ = false;
  uv_async_t wake_;
  LineWriter writer_;
  std::function<void()> closed_;

  std::mutex mutex_;
  bool open_ = false;
  std::vector<std::string> lines_;
};

}  // namespace events
