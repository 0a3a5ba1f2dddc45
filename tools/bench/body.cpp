// SPDX-License-Identifier: LGPL-2.1-or-later
#include "body.hpp"

#include <unistd.h>

#include <cstdio>

namespace virt_uv::bench {

void fail(const char *what) {
  fprintf(stderr, "virt-uv-bench: %s\n", what);
  _exit(1);
}

void require(bool held, const char *what) {
  if (!held) throw std::runtime_error(what);
}

}  // namespace virt_uv::bench
