// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one way out: every callback and `ff` of libvirt is called through here, on the loop's thread.
//
// Above are C frames (libuv's), so an exception ends here, logged and counted. Time is measured only when the host
// asked for it: two clock readings cost as much as the rest of a dispatch.
//
// A callback may run the loop (uv_run in uv_run), though libuv does not allow it, and may leave by longjmp or
// pthread_exit. So all that must hold afterwards is done before the call, and what is being called is not freed by an
// iteration that the callback runs (call_stack.hpp).
#pragma once

#include <cxxabi.h>

#include <cstdint>
#include <exception>

#include "core/clock.hpp"
#include "core/context.hpp"
#include "core/counters.hpp"
#include "core/mutex.hpp"

namespace virt_uv::core {

// `what` may be NULL. Any thread.
void report_exception(Context &context, const char *what) noexcept;

// What a callback belongs to, for the log.
struct Called {
  const char *kind;
  int id;
};

// Notes how long a measured call took, and warns when it was slow.
void measured(Context &context, Called called, CallStats &stats, std::uint64_t nanoseconds) noexcept;

// Inlined: beside the callbacks that it calls, a call more would show. UBSan leaves it alone: what pthread_exit
// unwinds with is no C++ object, and g++ 12 has the reference to it refer to NULL.
template <typename Call>
__attribute__((always_inline, no_sanitize("undefined"))) inline void call_guarded(Context &context, Call &&call) {
  calling_out();
  try {
    call();
  } catch (abi::__forced_unwind &) {
    throw;  // pthread_cancel and pthread_exit unwind so; swallowing it aborts the process (GCC's manual)
  } catch (const std::exception &error) {
    report_exception(context, error.what());
  } catch (...) {
    report_exception(context, nullptr);
  }
}

template <typename Callback, typename... More>
[[gnu::noinline]] void call_measured(Context &context, Called called, CallStats &stats, Callback cb, More... more) {
  const std::uint64_t start = nanoseconds_now();
  call_guarded(context, [=] { cb(called.id, more...); });
  measured(context, called, stats, nanoseconds_now() - start);
}

// Calls a watch's or a timeout's callback: its id, and `more`. `now_ms`: the loop's time. All is passed by value, as
// scalars stay in registers; a lambda's captures would be stored for the measured call, which is rare.
template <typename Callback, typename... More>
[[gnu::always_inline]] inline void call_back(Context &context, Called called, CallStats &stats, std::uint64_t now_ms,
                                             Callback cb, More... more) {
  stats.called(now_ms);
  context.counters.callbacks.increment();
  const bool is_measured = context.slow_callback_ms.load(std::memory_order_relaxed) != 0;
  if (__builtin_expect(is_measured, 0)) return call_measured(context, called, stats, cb, more...);
  call_guarded(context, [=] { cb(called.id, more...); });
}

}  // namespace virt_uv::core
