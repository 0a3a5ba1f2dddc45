/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --demo: libvirt's test driver lives inside this process, as "test:///default", with a domain, a network and a storage
 * pool of its own. The demonstration does one thing to them after another, through a second connection, and each
 * time waits for the event to come through the loop before it goes on. */
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace events {

struct Event;

class Demo {
 public:
  static constexpr char kUri[] = "test:///default";
  /* More than enough for calls within one process. */
  static constexpr std::uint64_t kLimitMs = 10000;

  static std::vector<std::string> event_names();

  /* Calls `finished` in the loop, once, with an empty string when every event has come, otherwise with what went wrong.
   */
  Demo(uv_loop_t *loop, std::function<void(const std::string &)> finished);

  /* The connection that is watched is open. */
  void begin();

  void saw(const Event &event);

  /* For the time limit's message. */
  std::string waiting_for() const;

  void stop() { stopped_ = true; }

 private:
  void act();
  void acted(const std::string &error);
  void go_on();
  void finish(const std::string &problem);

  uv_loop_t *loop_;
  std::function<void(const std::string &)> finished_;
  std::size_t step_ = 0;
  bool acted_ = false, seen_ = false, stopped_ = false;
};

}  // namespace events
