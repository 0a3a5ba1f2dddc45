// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Log lines: to the host's function where it gave one, else to stderr: errors and warnings, or what VIRT_UV_LOG asks
// for.
//
// A line may be written on any thread with libvirt's locks held, so formatting happens on the stack, nothing is
// allocated, and the host's function is called with no lock of the library. That function may call this library, and
// even run the loop: so a line is written last, when the writer has nothing at hand that such a call could change.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstddef>

#include "core/mutex.hpp"
#include "virt-uv/virt-uv.h"

namespace virt_uv::core {

class Log {
 public:
  // The host's function, as it was given.
  struct Function {
    virt_uv_log_cb call = nullptr;
    void *opaque = nullptr;
  };

  // Sends this thread's lines to `function` for as long as it lives, where it has one: the lines of an attach belong to
  // the caller's function, which takes the place of another's only when the attach has succeeded.
  class Redirect {
   public:
    explicit Redirect(const Function &function) noexcept;
    ~Redirect();
    Redirect(const Redirect &) = delete;
    Redirect &operator=(const Redirect &) = delete;

   private:
    const Function *before_;
  };

  // Any thread. With no function: stderr again. A thread that is writing a line meanwhile may still call the one
  // before.
  void set_function(const Function &function) noexcept;

  // Any thread. What the header says of which line goes where.
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args &&...args) noexcept {
    write(VIRT_UV_LOG_ERROR, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args &&...args) noexcept {
    write(VIRT_UV_LOG_WARN, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args &&...args) noexcept {
    write(VIRT_UV_LOG_INFO, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args &&...args) noexcept {
    write(VIRT_UV_LOG_DEBUG, format, std::forward<Args>(args)...);
  }

  // For fork(): see api/fork.cpp.
  Mutex &mutex() noexcept VIRT_UV_RETURNS(mutex_) { return mutex_; }

 private:
  static constexpr std::size_t kLongestLine = 512;

  bool enabled(virt_uv_log_level level) const noexcept;
  void emit(virt_uv_log_level level, const char *message) noexcept;
  Function function() noexcept;

  template <typename... Args>
  void write(virt_uv_log_level level, fmt::format_string<Args...> format, Args &&...args) noexcept {
    if (!enabled(level)) return;
    char line[kLongestLine];
    try {
      *fmt::format_to_n(line, sizeof line - 1, format, std::forward<Args>(args)...).out = '\0';
    } catch (...) {
      // fmt throws for a bad format only, and those are checked when this is compiled; or when memory for a large
      // number runs out, where the bare fact is better than nothing.
      emit(level, "(a log line could not be formatted)");
      return;
    }
    emit(level, line);
  }

  Mutex mutex_;
  Function function_ VIRT_UV_GUARDED_BY(mutex_);
  std::atomic<bool> has_function_{false};  // so that a line which nobody wants costs no lock
};

}  // namespace virt_uv::core
