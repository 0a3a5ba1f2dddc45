/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One open libvirt connection with its subscriptions: the part that blocks. Opening waits for a host to answer, and so,
 * on a remote connection, do subscribing, listing domains, unsubscribing and closing; a dead host answers none of them.
 * So open() and close() run on a worker thread, never on the loop's, one at a time. What libvirt reports comes on the
 * loop's thread all the same.
 *
 * A call that waits for a dead host cannot be interrupted, and may outlast the session's owner and even the owner's
 * loop. So a session is shared: its owner, the threads that are in its calls and libvirt, for each callback that it
 * has, keep it alive. An owner that does not wait abandons it: then it tells nobody any more, and a thread that comes
 * out of open() with a connection closes it again.
 *
 * Connections are opened read-only: watching needs no more. */
#pragma once

#include <libvirt/libvirt.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "domain_filter.hpp"
#include "keepalive.hpp"
#include "record.hpp"
#include "subscription.hpp"

namespace virt_uv::watch {

struct SessionRequest {
  std::string uri; /* empty: libvirt's own default */
  Keepalive keepalive;
  bool list_states; /* list the domains with their states, once subscribed */
  std::vector<const EventKind *> kinds;
  DomainFilter domains;
};

/* Told on the loop's thread. */
class SessionOwner {
 public:
  virtual void on_event(Record record) = 0;
  virtual void on_loss(const std::string &why) = 0; /* the connection broke */

 protected:
  ~SessionOwner() = default;
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
  bool is_open = false; /* false: for `error` */
  std::string uri;      /* as libvirt names it */
  std::string error;
  bool uri_is_bad = false;       /* libvirt cannot read it: trying again is no use */
  bool has_events = true;        /* false: it refuses all that were asked for, so it was closed again */
  std::vector<Refusal> refused;  /* the kinds that it was opened without */
  std::string keepalive_refused; /* why there is none although it was asked for */
  std::optional<States> states;
};

class Session final : public EventSink, public std::enable_shared_from_this<Session> {
 public:
  /* `post` takes calls from any thread to the loop, or drops them once the loop has gone. */
  using Post = std::function<void(std::function<void()>)>;
  Session(std::shared_ptr<const SessionRequest> request, Post post, SessionOwner *owner);

  /* On a worker thread. */
  SessionResult open();
  void close();

  /* On the loop's thread. The owner is not told anything any more. Returns true where open() has returned with a
   * connection: then it is left to the caller to have it closed. */
  bool abandon();

  void deliver(Record record) override;

 private:
  enum class Stage { kOpening, kOpen, kAbandoned };

  SessionResult connect();
  void register_for_loss();
  void set_keepalive(SessionResult &ret);
  void subscribe_all(SessionResult &ret);
  States list_states();
  SessionResult closed_again(SessionResult result, std::string why);
  static void on_closed(virConnectPtr, int reason, void *opaque) noexcept;

  const std::shared_ptr<const SessionRequest> request_;
  const Post post_;
  std::atomic<SessionOwner *> owner_;
  std::atomic<Stage> stage_{Stage::kOpening};
  std::atomic<std::size_t> delivered_{0};

  /* Of the thread that opens it, then of the one that closes it. */
  virConnectPtr connection_ = nullptr;
  struct Registration {
    const EventKind *kind;
    int callback_id;
  };
  std::vector<Registration> registrations_;
};

}  // namespace virt_uv::watch
