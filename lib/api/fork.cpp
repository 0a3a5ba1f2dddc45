// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/fork.hpp"

#include <pthread.h>

#include <atomic>

namespace virt_uv::api {
namespace {

std::atomic<bool> has_said_so{false};

// No thread holds a lock of ours when the child begins: it has this thread only.
void before_fork() { Instance::get().lock_all(); }

void after_fork_in_parent() { Instance::get().unlock_all(); }

void after_fork_in_child() {
  Instance &instance = Instance::get();
  instance.unlock_all();
  std::atomic<bool> &is_barred = instance.context().is_barred;
  if (is_barred.load(std::memory_order_relaxed)) return;
  has_said_so.store(false, std::memory_order_relaxed);
  is_barred.store(!instance.begin_anew(), std::memory_order_relaxed);
}

}  // namespace

void watch_for_fork() noexcept {
  static const int error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  if (error != 0)
    Instance::get().context().log.warn("fork() cannot be noticed: a forked child must not call libvirt or virt-uv");
}

void log_refusal() noexcept {
  if (has_said_so.exchange(true, std::memory_order_relaxed)) return;
  Instance::get().context().log.error(
      "this process was forked while a loop was attached, and cannot use virt-uv: fork before virt_uv_attach, or "
      "after the end of a virt_uv_detach, or exec");
}

}  // namespace virt_uv::api
