/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file
 * libuv's error codes as std::error_code.
 *
 * virt-uv returns negative libuv codes. In C++ they become a std::error_code of uv_category() with the code as its
 * value, so both `error.code().value() == UV_EBUSY` and `error.code() == std::errc::device_or_resource_busy` are true.
 */
#ifndef VIRT_UV_ERROR_HPP
#define VIRT_UV_ERROR_HPP

#include <string>
#include <system_error>

#include <virt-uv/virt-uv.h>

/** virt-uv in C++17. */
namespace virt_uv {

namespace detail {

class UvCategory final : public std::error_category {
 public:
  const char *name() const noexcept override { return "libuv"; }

  std::string message(int code) const override {
    char text[256];
    return uv_strerror_r(code, text, sizeof text);
  }

  /** libuv's codes are -errno, except its own, which start at UV_EAI_ADDRFAMILY and go down. */
  std::error_condition default_error_condition(int code) const noexcept override {
    const bool is_errno = code < 0 && code > UV_EAI_ADDRFAMILY;
    return is_errno ? std::error_condition(-code, std::generic_category()) : std::error_condition(code, *this);
  }
};

}  // namespace detail

/** Returns the category of libuv's codes: one object for each process. Any thread. */
inline const std::error_category &uv_category() noexcept {
  static const detail::UvCategory category;
  return category;
}

/** Returns `code`, a libuv code (negative) or 0 for success, as a std::error_code. Any thread. */
inline std::error_code make_uv_error(int code) noexcept { return {code, uv_category()}; }

namespace detail {

[[noreturn]] inline void throw_uv_error(int code, const char *advice) {
  throw std::system_error(make_uv_error(code), advice);
}

}  // namespace detail

}  // namespace virt_uv

#endif
