// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one way out: every callback and `ff` of libvirt's is called through here.
//
// Above us are C frames (libuv's), so an exception ends here, logged and counted. Time is measured only when
// the host asked for it: two clock readings cost as much as the rest of a dispatch.
#pragma once

#include <cxxabi.h>

#include <atomic>
#include <cstdint>
#include <exception>

#include "counters.hpp"
#include "lock.hpp"
#include "tally.hpp"
#include "virt-uv/virt-uv.h"

namespace virt_uv {

// Milliseconds from which a callback is called slow; 0: not measured. Set at attach.
inline std::atomic<unsigned> slow_callback_ms{0};

// `what` may be NULL. Any thread.
void report_exception(const char *what) noexcept;

// What a callback belongs to, for the log.
struct Called {
  const char *kind;
  int id;
};

// Notes how long a measured call took, and warns when it was slow.
void measured(const Called &called, Tally &tally, std::uint64_t nanoseconds) noexcept;

// Inlined: beside the callbacks that it calls, a call more would show.
template <typename Call>
[[gnu::always_inline]] inline void call_guarded(Call &&call) {
  calling_out();
  try {
    call();
  } catch (abi::__forced_unwind &) {
    throw;  // pthread_cancel and pthread_exit unwind so; swallowing it aborts the process (GCC's manual)
  } catch (const std::exception &error) {
    report_exception(error.what());
  } catch (...) {
    report_exception(nullptr);
  }
}

// Calls a watch's or a timeout's callback. `now_ms`: the loop's time.
template <typename Call>
[[gnu::always_inline]] inline void call_back(const Called &called, Tally &tally, std::uint64_t now_ms, Call &&call) {
  tally.fired(now_ms);
  counters.callbacks.raise();
  const bool is_measured = slow_callback_ms.load(std::memory_order_relaxed) != 0;
  const std::uint64_t start = __builtin_expect(is_measured, 0) ? uv_hrtime() : 0;
  call_guarded(call);
  if (__builtin_expect(is_measured, 0)) measured(called, tally, uv_hrtime() - start);
}

}  // namespace virt_uv
