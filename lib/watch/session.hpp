/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One open libvirt connection with its subscriptions: the part that blocks. Opening waits for a host to answer, and so,
 * on a remote connection, do subscribing, listing domains, unsubscribing and closing; a dead host answers none of them.
 * So these functions run on a worker thread, never on the loop's, one at a time, and touch only what they were given.
 * The callbacks that they register with libvirt are called on the loop's thread all the same.
 *
 * Connections are opened read-only: watching needs no more. */
#pragma once

#include <libvirt/libvirt.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "keepalive.hpp"
#include "record.hpp"
#include "subscription.hpp"

namespace virt_uv::watch {

struct SessionRequest {
  std::string uri; /* empty: libvirt's own default */
  Keepalive keepalive;
  virConnectCloseFunc lost; /* called from any thread when the connection breaks */
  void *lost_opaque;
  bool list_states; /* list the domains with their states, once subscribed */
  /* How many events have come since the session was opened. */
  const std::atomic<std::size_t> *delivered;
};

struct Refusal {
  const EventKind *kind;
  std::string why; /* empty: the driver does not have this kind of event */
};

/* The domains' states, as records. */
struct States {
  std::size_t after = 0; /* so many events had come when the listing began: they are older than the states */
  std::vector<Record> records;
  std::string error; /* why there are none */
};

struct SessionResult {
  virConnectPtr connection = nullptr; /* nullptr: it is not open, for `error` */
  std::string uri;                    /* as libvirt names it */
  std::string error;
  bool uri_is_bad = false;       /* libvirt cannot read it: trying again is no use */
  bool has_events = true;        /* false: it refuses all that were asked for, so it was closed again */
  std::vector<Refusal> refused;  /* the kinds that it was opened without */
  std::string keepalive_refused; /* why there is none although it was asked for */
  std::optional<States> states;
};

/* Fills in the callback ids of the subscriptions that libvirt grants. */
SessionResult open_session(const SessionRequest &request, std::vector<Subscription> &subscriptions);

/* Once it has returned, `lost` is not called any more. */
void close_session(virConnectPtr connection, const SessionRequest &request, std::vector<Subscription> &subscriptions);

}  // namespace virt_uv::watch
