// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stream.hpp"

#include <utility>

#include "host.hpp"

Stream::Stream(virConnectPtr connection, std::function<void(int events)> on_event)
    : stream_(virStreamNew(connection, VIR_STREAM_NONBLOCK)), on_event_(std::move(on_event)) {
  if (stream_ == nullptr) must(-1, "virStreamNew");
}

Stream::~Stream() { virStreamFree(stream_); }

void Stream::listen(int events) {
  must(virStreamEventAddCallback(
           stream_, events,
           [](virStreamPtr, int happened, void *self) { static_cast<Stream *>(self)->on_event_(happened); }, this,
           nullptr),
       "virStreamEventAddCallback");
}

void Stream::finish() {
  end();
  must(virStreamFinish(stream_), "virStreamFinish");
}

void Stream::abort() {
  end();
  must(virStreamAbort(stream_), "virStreamAbort");
}

void Stream::end() {
  must(virStreamEventRemoveCallback(stream_), "virStreamEventRemoveCallback");
  ended_ = true;
}
