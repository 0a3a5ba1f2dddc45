// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C library's text for an errno value. It allocates nothing.
#pragma once

#include <cstring>

namespace virt_uv::core {

class ErrnoText {
 public:
  explicit ErrnoText(int error) noexcept : text_(strerror_r(error, buffer_, sizeof buffer_)) {}
  ErrnoText(const ErrnoText &) = delete;
  ErrnoText &operator=(const ErrnoText &) = delete;

  const char *get() const noexcept { return text_; }

 private:
  char buffer_[64];
  const char *text_;  // in buffer_ for an unknown value only
};

}  // namespace virt_uv::core
