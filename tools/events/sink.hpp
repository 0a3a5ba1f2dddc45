/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where records go. Each sink has a bounded queue of its own and never blocks the loop. */
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "record_fwd.hpp"

namespace events {

class SinkOwner {
 public:
  /* Nothing can be delivered any more: ends the watching, with this exit status and, unless it is empty, this line on
   * stderr. */
  virtual void sink_failed(int status, const std::string &why) = 0;
  virtual void sink_idle() = 0;
  virtual void sink_notice(virt_uv::watch::Severity severity, const std::string &text) = 0;

 protected:
  ~SinkOwner() = default;
};

class Sink {
 public:
  virtual ~Sink() = default;

  /* Returns 0, or libuv's error. */
  virtual int open(uv_loop_t *loop, SinkOwner *owner) = 0;

  virtual void put(const virt_uv::watch::Record &record) = 0;

  /* Nothing waits to be delivered, or nothing can be. sink_idle() says when that comes to be so. */
  virtual bool is_idle() const = 0;

  /* Records that wait to be delivered, the bytes of their queue, and how many were dropped since the beginning. */
  virtual std::size_t waiting() const = 0;
  virtual std::size_t queued_bytes() const = 0;
  virtual std::uint64_t dropped() const = 0;

  /* Why records wait, for a line that says so. */
  virtual const char *obstacle() const = 0;

  /* Closes the handles; what waits is given up. */
  virtual void close(std::function<void()> closed) = 0;

  /* For a process that ends without close(). */
  virtual void restore() {}
};

}  // namespace events
