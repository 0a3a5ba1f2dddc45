/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A test case in a process of its own, because libvirt takes one event loop for each process, for good.
 *
 *     TEST_CASE("a sentence") {
 *       if (!in_own_process()) return;
 *       ...
 *
 * The first run of the case executes this program again, for this case alone, and judges it by its exit status; there,
 * what follows runs. */
#pragma once

/* True in the case's own process. In the first one: false, after the other has passed; fails when it has not. */
bool in_own_process();
