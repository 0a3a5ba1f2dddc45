// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/environment.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace virt_uv::api {

unsigned slow_callback_ms_wanted(core::Log &log) noexcept {
  const char *const value = std::getenv("VIRT_UV_SLOW_CALLBACK_MS");
  if (value == nullptr || *value == '\0') return 0;
  const std::string_view text(value);
  unsigned wanted = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), wanted);
  if (error == std::errc{} && end == text.end()) return wanted;
  log.warn("VIRT_UV_SLOW_CALLBACK_MS={} is not a number of milliseconds", text);
  return 0;
}

}  // namespace virt_uv::api
