// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Log lines: to the host's function where it gave one, else to stderr as far as VIRT_UV_LOG asks, else nowhere.
//
// A line may be written on any thread with libvirt's locks held, so formatting happens on the stack, nothing is
// allocated, and the host's function is called with no lock of ours.
#pragma once

#include <fmt/format.h>

#include <cstddef>

#include "virt-uv/virt-uv.h"

namespace virt_uv::log {

inline constexpr std::size_t kLongestLine = 512;

// Any thread. `log` NULL: back to what VIRT_UV_LOG says.
void set_host(virt_uv_log_cb log, void *opaque) noexcept;

bool enabled(virt_uv_log_level level) noexcept;

// `message` ends in NUL.
void emit(virt_uv_log_level level, const char *message) noexcept;

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

}  // namespace virt_uv::log
