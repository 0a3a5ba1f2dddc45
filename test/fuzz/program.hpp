// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fuzz target: its input is a program of calls of the C API and iterations of the loop.
//
// Each instruction is two bytes, what and with what. What is registered is kept in a small table of places, and the
// instruction's second byte picks one, so that an id may be live, stale or none. A program runs in one process after
// thousands of others, so it ends by giving everything back; what it must leave true is checked then.
#pragma once

#include <cstddef>
#include <cstdint>

// Aborts where the library has broken a promise.
void run_program(const std::uint8_t *data, std::size_t size);
