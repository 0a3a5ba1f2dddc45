/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What one watch() watches: its connections, and the queue of what they report. It knows nothing of JS.
 *
 * Records are put into a bounded queue as lines of JSON, those that virt-uv-events --json prints. JS takes them in
 * batches: one string for many records is parsed faster than they are made one by one through Node-API, and what JS has
 * not taken costs its heap nothing. Notices (a warning, an error, the end of all connections) have no bound: a
 * connection has one for each attempt to open it.
 *
 * close() asks every connection to close, and waits for them no longer than the grace: then it abandons those whose
 * host does not answer. A thread may still wait for that host; it shares nothing with the watcher (session.hpp).
 *
 * On the loop's thread.
 */
#ifndef VIRT_UV_NODE_WATCHER_H
#define VIRT_UV_NODE_WATCHER_H

#include <uv.h>

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "watch/connection.hpp"
#include "watch/line_queue.hpp"
#include "watch/workers.hpp"

namespace virt_uv::node {

class Watcher final : private watch::Observer {
 public:
  struct Options {
    std::vector<std::string> uris;
    watch::ConnectionOptions connections;
    bool wants_all_kinds = false;
    std::size_t queue_bytes = 0;
  };

  explicit Watcher(const Options &options);
  Watcher(const Watcher &) = delete;
  Watcher &operator=(const Watcher &) = delete;

  /* Returns 0, or libuv's error: then it has no handles. */
  int start(uv_loop_t *loop);

  /* Has anything come since take_notices()? */
  bool has_news() const { return has_news_; }
  std::string take_notices();

  /* The oldest records, as the text of a JSON array; empty: there are none. */
  std::string take_records();

  /* `closed` is called, not from within this call, when the last handle is closed: it may delete this. */
  void close(std::function<void()> closed);

 private:
  void on_record(const watch::Connection &connection, watch::Record record) override;
  void on_open(const watch::Connection &) override {}
  void on_notice(const watch::Connection &connection, watch::Severity severity, const std::string &text) override;
  void on_bad_uri(const watch::Connection &connection, const std::string &why) override;
  void on_ended(const watch::Connection &) override;

  void notice(watch::Fields fields);
  void report_undecoded();
  bool have_all_ended() const { return ended_ == connections_.size(); }
  void abandon();
  void close_handles();

  const Options options_;
  watch::Workers workers_;
  std::list<watch::Connection> connections_;
  watch::LineQueue queue_;
  watch::Fields notices_ = watch::Fields::array();
  bool has_news_ = false;
  std::size_t ended_ = 0;
  std::function<void()> closed_; /* once closing */
  uv_timer_t grace_;
};

}  // namespace virt_uv::node

#endif
