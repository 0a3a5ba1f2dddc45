/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A subscription: one kind of event of one libvirt connection. libvirt owns it: it hands it to a decoder as the opaque
 * pointer, and deletes it when no more callback can come. So whatever thread deregisters it, and whoever has lost
 * interest by then, a callback that is running finds it, and its sink, alive. */
#pragma once

#include <libvirt/libvirt.h>

#include <memory>

namespace virt_uv::watch {

struct EventKind;
struct Record;

class EventSink {
 public:
  /* On the thread of the loop that is attached, inside libvirt's callback. */
  virtual void deliver(Record record) = 0;

 protected:
  ~EventSink() = default;
};

struct Subscription {
  std::shared_ptr<EventSink> sink;
  const EventKind *kind;
};

/* Registers with libvirt, and deregisters. On a remote connection both wait for the host. subscribe() returns the id
 * that unsubscribe() takes; or -1, where libvirt refuses: virGetLastError() has the reason. */
int subscribe(virConnectPtr connection, const EventKind &kind, std::shared_ptr<EventSink> sink);
void unsubscribe(virConnectPtr connection, const EventKind &kind, int callback_id);

}  // namespace virt_uv::watch
