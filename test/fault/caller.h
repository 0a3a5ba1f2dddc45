/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Who calls a function that a test program interposes: told by the return address. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* Is that address within libvirt-uv.so? */
int is_in_library(uintptr_t address);

#ifdef __cplusplus
}
#endif
