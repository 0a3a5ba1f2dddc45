/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A module that nothing keeps loaded. */
int plain_module(void);
int plain_module(void) { return 0; }
