/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The watchers of one environment. JS knows each by a number, so a late call finds nothing, and no garbage collection
 * is involved. A watcher that is opened while the thread detaches waits until it can attach again.
 *
 * JS has one function for each watcher, which is called with the notices as JSON when anything has come.
 */
#ifndef VIRT_UV_NODE_WATCHERS_H
#define VIRT_UV_NODE_WATCHERS_H

#include <node_api.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "js.h"
#include "watcher.h"

namespace virt_uv::node {

class Watchers {
 public:
  /* `closed` is called in the loop for each that has been closed, with what close() was given. */
  Watchers(napi_env env, uv_loop_t *loop, std::function<void(Function)> closed);

  bool is_empty() const { return entries_.empty(); }

  std::uint32_t add(const Watcher::Options &options, napi_value listener);
  int start(std::uint32_t number); /* Returns 0, or libuv's error: then it is removed. */
  void start_waiting(napi_async_context context, int attach_error);
  std::string take(std::uint32_t number);
  void close(std::uint32_t number, Function done);
  void tell(napi_async_context context);

  /* The environment ends: no JS is called any more, and those that are not closing yet are closed. */
  void end();

 private:
  enum class State { kWaiting, kStarted, kClosing };
  struct Entry {
    std::unique_ptr<Watcher> watcher;
    napi_ref listener;
    State state = State::kWaiting;
  };

  void call(napi_async_context context, napi_ref listener, const std::string &notices);
  void remove(std::uint32_t number);

  napi_env env_;
  uv_loop_t *loop_;
  std::function<void(Function)> closed_;
  std::map<std::uint32_t, Entry> entries_;
  std::uint32_t last_number_ = 0;
  bool has_ended_ = false;
};

}  // namespace virt_uv::node

#endif
