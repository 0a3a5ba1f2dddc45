// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A non-blocking stream whose events come through the loop.
#pragma once

#include <libvirt/libvirt.h>

#include <functional>

class Stream {
 public:
  // `on_event` gets the bits of virStreamEventType; it may finish or abort the stream.
  Stream(virConnectPtr connection, std::function<void(int events)> on_event);
  ~Stream();
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;

  virStreamPtr get() const { return stream_; }
  void listen(int events);  // once the stream is in use
  void finish();            // the other side has everything, or this is an error
  void abort();
  bool ended() const { return ended_; }

 private:
  void end();

  virStreamPtr stream_;
  std::function<void(int)> on_event_;
  bool ended_ = false;
};
