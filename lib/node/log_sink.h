/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Log lines, from the thread they arise in to the JS listener of one environment.
 *
 * A line may come from any thread, libvirt's locks held, and even after a detach is done, from a thread that was in
 * a call by then. So what the library is given as `log_opaque` is no pointer but a number: looked up under a lock, and
 * dropped when its environment is gone. Lines travel through a threadsafe function that does not keep the loop alive.
 */
#ifndef VIRT_UV_NODE_LOG_SINK_H
#define VIRT_UV_NODE_LOG_SINK_H

#include <node_api.h>
#include <virt-uv/virt-uv.h>

#include <cstdint>

namespace virt_uv::node {

class LogSink {
 public:
  explicit LogSink(napi_env env);
  ~LogSink();
  LogSink(const LogSink &) = delete;
  LogSink &operator=(const LogSink &) = delete;

  void listen(napi_value listener);      /* nullptr: no more */
  void fill(virt_uv_options *ret) const; /* `log` and `log_opaque`: ours if somebody listens */

 private:
  static void stop_at_exit(void *sink);
  void stop();

  napi_env env_;
  std::uintptr_t id_;
  napi_threadsafe_function channel_ = nullptr;
};

}  // namespace virt_uv::node

#endif
