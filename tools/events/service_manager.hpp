/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a service tells the service manager that has started it: systemd, by the protocol of sd_notify(3), which others
 * speak as well. It is told when the program is ready, how it is, that its loop still runs (the watchdog: a loop that
 * hangs tells nothing, and the manager starts the program again), and when it ends. Where no manager has started the
 * program, or it was built without libsystemd, nothing is told. */
#pragma once

#include <uv.h>

#include <string>

#include "log.hpp"

namespace events {

/* On the loop's thread. */
class ServiceManager {
 public:
  explicit ServiceManager(Log *log) : log_(log) {}
  ServiceManager(const ServiceManager &) = delete;
  ServiceManager &operator=(const ServiceManager &) = delete;

  /* Serves the watchdog from here on, where one is asked for. */
  void open(uv_loop_t *loop);
  void close();

  /* A line for people, in `systemctl status`. */
  void set_status(const std::string &status);

  void tell_ready() { tell("READY=1"); }
  void tell_stopping() { tell("STOPPING=1"); }

 private:
  void tell(const std::string &state);

  Log *log_;
  bool has_failed_ = false; /* to be told something: the log has it once */
  std::string status_;
  uv_timer_t watchdog_;
};

}  // namespace events
