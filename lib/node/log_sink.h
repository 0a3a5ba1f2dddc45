/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Takes log lines from any thread to the JS listener of one environment.
 *
 * A line may come from any thread, with libvirt's locks held. It may come even after the end of a detach, from a thread
 * that was inside a call at that time. So `log_opaque` is not a pointer but a number. It is looked up under a lock, and
 * not found when its environment is gone. Lines pass through a threadsafe function that does not keep the loop alive.
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

  void listen(napi_value listener);      /* nullptr: stop */
  void fill(virt_uv_options *ret) const; /* sets `log` and `log_opaque`: ours if there is a listener */

 private:
  static void stop_at_exit(void *sink);
  void stop();

  napi_env env_;
  std::uintptr_t id_;
  napi_threadsafe_function channel_ = nullptr;
};

}  // namespace virt_uv::node

#endif
