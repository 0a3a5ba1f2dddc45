/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A job for libuv's thread pool.
 *
 * A job that waits for a dead host holds its thread for minutes, and libuv's pool has four. The pool is therefore made
 * as large as there can be jobs at a time, and no job ever waits for another. */
#pragma once

#include <uv.h>

#include <functional>

namespace events {

/* libuv's own limit. */
constexpr unsigned kMaxPoolSize = 1024;

/* To be called before the process's first job. */
void set_pool_size(unsigned jobs_at_a_time);

/* Runs `work` on a thread of the pool and then `done` on the loop's thread. */
void run_on_pool(uv_loop_t *loop, std::function<void()> work, std::function<void()> done);

}  // namespace events
