/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One open libvirt connection, with its subscriptions: the part that blocks. Opening waits for a host to answer, and
 * so, on a remote connection, do subscribing, unsubscribing and closing; a dead host answers none of them. So these
 * functions run on a thread of the pool, never on the loop's, and touch nothing of the program's but what they were
 * given. The callbacks that they register with libvirt come on the loop's thread all the same.
 *
 * Connections are opened read-only: watching needs no more. */
#pragma once

#include <libvirt/libvirt.h>

#include <string>
#include <vector>

#include "subscription.hpp"

namespace events {

struct Keepalive {
  int interval = 5; /* seconds; 0: none. The defaults are those of virsh */
  unsigned count = 6;
  bool asked_for = false; /* by the user, who is then told when it can't be had */
};

struct SessionRequest {
  std::string uri; /* empty: libvirt's own default */
  Keepalive keepalive;
  virConnectCloseFunc lost; /* called from any thread when the connection breaks */
  void *lost_opaque;
};

struct Refusal {
  const EventKind *kind;
  std::string why; /* empty: the driver does not have this kind of event */
};

struct SessionResult {
  virConnectPtr connection = nullptr; /* nullptr: it is not open, for `error` */
  std::string uri;                    /* as libvirt names it */
  std::string error;
  bool uri_is_bad = false;       /* libvirt can't read it: trying again is no use */
  bool has_events = true;        /* false: it refuses all that were asked for, so it was closed again */
  std::vector<Refusal> refused;  /* the kinds that it was opened without */
  std::string keepalive_refused; /* why there is none although it was asked for */
};

/* Fills in the callback ids of the subscriptions that libvirt grants. */
SessionResult open_session(const SessionRequest &request, std::vector<Subscription> &subscriptions);

/* Once it has returned, `lost` is not called any more. */
void close_session(virConnectPtr connection, const SessionRequest &request, std::vector<Subscription> &subscriptions);

}  // namespace events
