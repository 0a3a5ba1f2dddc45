/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A subscription: one kind of event of one libvirt connection. libvirt hands it back to a decoder as the opaque
 * pointer, so it must outlive every callback: until the loop has been drained. */
#pragma once

#include <libvirt/libvirt.h>

namespace virt_uv::watch {

struct EventKind;
struct Record;

class EventSink {
 public:
  /* On the loop's thread, inside libvirt's callback. */
  virtual void deliver(Record record) = 0;

 protected:
  ~EventSink() = default;
};

struct Subscription {
  EventSink *sink;
  const EventKind *kind;
  int callback_id = -1; /* libvirt's; -1: not subscribed */
};

/* Register with libvirt, and deregister. On a remote connection both wait for the host. They return false where libvirt
 * refuses: virGetLastError() has the reason. */
bool subscribe(virConnectPtr connection, Subscription &subscription);
bool unsubscribe(virConnectPtr connection, Subscription &subscription);

}  // namespace virt_uv::watch
