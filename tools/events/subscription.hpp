/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A subscription: one kind of event, asked of one libvirt connection. It is what libvirt hands back to a decoder as its
 * opaque pointer, so it must outlive every callback: until the loop has been drained. */
#pragma once

#include <libvirt/libvirt.h>

namespace events {

struct Event;
struct EventKind;

class EventSink {
 public:
  /* On the loop's thread, inside a callback of libvirt's. */
  virtual void deliver(const Event &event) = 0;

 protected:
  ~EventSink() = default;
};

struct Subscription {
  EventSink *sink;
  const EventKind *kind;
  int callback_id = -1; /* libvirt's; -1: not subscribed */
};

/* Ask libvirt for the events, and no longer. On a remote connection both wait for the host. They return false where
 * libvirt refuses: virGetLastError() says why. */
bool subscribe(virConnectPtr connection, Subscription &subscription);
bool unsubscribe(virConnectPtr connection, Subscription &subscription);

}  // namespace events
