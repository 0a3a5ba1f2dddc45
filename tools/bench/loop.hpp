// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loops that are compared, each behind the same few calls. A process has one of them, because libvirt has one event
// loop for each process. Which one it is, a workload need not know: it registers watches and timeouts (libvirt_api.hpp,
// uv_api.hpp), runs the loop, and stops it from a callback.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace virt_uv::bench {

class Loop {
 public:
  Loop() = default;
  Loop(const Loop &) = delete;
  Loop &operator=(const Loop &) = delete;
  virtual ~Loop() = default;

  // Until stop() is called, by a callback.
  virtual void run() = 0;
  virtual void stop() = 0;

  // How often the loop came back from waiting. Any thread.
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }

  // The uv loop beneath, or NULL.
  virtual uv_loop_t *uv() { return nullptr; }

 protected:
  void count_turn() { turns_.store(turns() + 1, std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> turns_{0};
};

// The names of the loops that this build can drive, the reference first and the limit last.
const std::vector<std::string> &loop_names();

inline constexpr const char *kDefault = "default";
inline constexpr const char *kGlib = "glib";
inline constexpr const char *kOurs = "virt-uv";
inline constexpr const char *kLimit = "uv";
inline constexpr const char *kPython = "libvirtaio";

// Makes the loop and, but for the limit, registers it with libvirt.
std::unique_ptr<Loop> make_loop(const std::string &name);

std::unique_ptr<Loop> make_default_loop();
std::unique_ptr<Loop> make_glib_loop();
std::unique_ptr<Loop> make_plain_uv_loop();
std::unique_ptr<Loop> make_virt_uv_loop();

}  // namespace virt_uv::bench
