/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a test drives inject.c. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The Nth call from now on fails; 0: none. */
void inject_start(long nth);

/* Every call of that name from now on fails. */
void inject_every(const char *call);

/* How many have failed since inject_every(). */
long inject_failures(void);

/* Ends either. After inject_start(): which call failed, or NULL: there were fewer than N. */
const char *inject_stop(void);

/* For what is interposed elsewhere: is this call of `name` by `caller` the one to fail? */
int inject_must_fail(const char *name, uintptr_t caller);

#ifdef __cplusplus
}
#endif
