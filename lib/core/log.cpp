// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/log.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/no_cancel.hpp"

namespace virt_uv::core {
namespace {

// VIRT_UV_LOG's values; the index is the level.
constexpr const char *kNames[] = {"none", "error", "warn", "info", "debug"};
constexpr int kDefaultLevel = VIRT_UV_LOG_WARN;  // as libvirt, which prints errors where no handler is set

int level_from_environment() noexcept {
  const char *wanted = std::getenv("VIRT_UV_LOG");
  if (wanted == nullptr || *wanted == '\0') return kDefaultLevel;
  for (int level = 0; level <= VIRT_UV_LOG_DEBUG; ++level)
    if (std::strcmp(wanted, kNames[level]) == 0) return level;
  std::fprintf(stderr, "virt-uv: VIRT_UV_LOG=%s is not a level: use none, error, warn, info or debug\n", wanted);
  return kDefaultLevel;
}

int environment_level() noexcept {
  static const int level = level_from_environment();
  return level;
}

thread_local const Log::Function *redirected = nullptr;
// The frame of emit() that has called the host's function on this thread; 0: none has. A flag would stay set when the
// function leaves by longjmp: see call_stack.hpp.
thread_local std::uintptr_t calling_frame = 0;

}  // namespace

Log::Redirect::Redirect(const Function &function) noexcept : before_(redirected) {
  if (function.call != nullptr) redirected = &function;
}

Log::Redirect::~Redirect() { redirected = before_; }

void Log::set_function(const Function &function) noexcept {
  Lock lock(mutex_);
  function_ = function;
  has_function_.store(function.call != nullptr, std::memory_order_relaxed);
}

Log::Function Log::function() noexcept {
  if (redirected != nullptr) return *redirected;
  Lock lock(mutex_);
  return function_;
}

bool Log::enabled(virt_uv_log_level level) const noexcept {
  if (level <= environment_level()) return true;
  return level <= VIRT_UV_LOG_INFO && (redirected != nullptr || has_function_.load(std::memory_order_relaxed));
}

void Log::emit(virt_uv_log_level level, const char *message) noexcept {
  // A line that the host's function causes goes to stderr: it would be called for ever.
  const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const Function to = frame < calling_frame ? Function{} : function();
  if (to.call == nullptr) {
    // Asked again: a function that was there a moment ago may have been what enabled the line.
    NoCancel no_cancel;
    if (level <= environment_level()) std::fprintf(stderr, "virt-uv: %s: %s\n", kNames[level], message);
    return;
  }
  calling_out();
  calling_frame = frame;
  try {
    to.call(level, message, to.opaque);
  } catch (...) {
    // The host's logger failed: there is nobody left to tell, and the caller is libvirt's C code.
  }
  calling_frame = 0;
}

}  // namespace virt_uv::core
