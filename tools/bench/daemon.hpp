// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A private libvirtd in a folder of its own, with the test driver behind it. libvirtd keeps its state in /run/libvirt
// wherever its socket is, so there is one at a time on a machine: a lock is held meanwhile. It has to be started by
// root.
#pragma once

#include <memory>
#include <string>

#include "process.hpp"

namespace virt_uv::bench {

class Daemon {
 public:
  // Waits for the lock, and until the daemon answers.
  Daemon();
  Daemon(const Daemon &) = delete;
  Daemon &operator=(const Daemon &) = delete;
  ~Daemon();

  std::string uri() const;

 private:
  void write_config() const;
  void start();
  void wait_until_ready();
  std::string socket() const { return folder_ + "/libvirt-sock"; }

  int lock_ = -1;
  std::string folder_;
  std::unique_ptr<Process> process_;
};

}  // namespace virt_uv::bench
