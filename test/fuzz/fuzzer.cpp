// SPDX-License-Identifier: LGPL-2.1-or-later
//
// For libFuzzer.
#include "program.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  run_program(data, size);
  return 0;
}
