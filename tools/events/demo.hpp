/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --demo: libvirt's test driver runs inside this process, as "test:///default", with a domain, a network and a storage
 * pool. The demonstration changes them one after another, through a second connection, and each time waits for the
 * event to come through the loop before it continues. */
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace virt_uv::watch {
class Workers;
struct Record;
}  // namespace virt_uv::watch

namespace events {

class Demo {
 public:
  static constexpr char kUri[] = "test:///default";
  /* More than enough for calls within one process. */
  static constexpr std::uint64_t kLimitMs = 10000;

  static std::vector<std::string> event_names();

  /* Calls `finished` in the loop, once, with an empty string when every event has come, otherwise with what went wrong.
   */
  Demo(virt_uv::watch::Workers *workers, std::function<void(const std::string &)> finished);

  /* The connection that is watched is open. */
  void begin();

  void saw(const virt_uv::watch::Record &record);

  /* For the time limit's message. */
  std::string waiting_for() const;

  void stop() { stopped_ = true; }

 private:
  void act();
  void acted(const std::string &error);
  void next_step();
  void finish(const std::string &problem);

  virt_uv::watch::Workers *workers_;
  std::function<void(const std::string &)> finished_;
  std::size_t step_ = 0;
  bool acted_ = false, seen_ = false, stopped_ = false;
};

}  // namespace events
