// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which thread is this? A pthread_t is given to a new thread once the old one has ended, so it cannot tell the loop's
// thread from a worker that was started later. This number is never used again.
#pragma once

#include <atomic>
#include <cstdint>

namespace virt_uv::core {

using ThreadId = std::uint64_t;
inline constexpr ThreadId kNoThread = 0;

inline std::atomic<ThreadId> last_thread_id{kNoThread};
inline thread_local ThreadId this_thread_id = kNoThread;

inline ThreadId current_thread() noexcept {
  if (__builtin_expect(this_thread_id == kNoThread, 0))
    this_thread_id = last_thread_id.fetch_add(1, std::memory_order_relaxed) + 1;
  return this_thread_id;
}

}  // namespace virt_uv::core
