/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The program: one libuv loop with libvirt's events in it, the connections, and everything that may end the watching.
 * That is always the same way, whatever the cause (a signal, --count, --timeout, nobody left to read the output, no
 * connection left):
 *
 *   stop: every connection unsubscribes and closes ─▶ drain: libvirt has given up its last socket and timer
 *     ─▶ detach: the library has closed its handles ─▶ close our own ─▶ uv_run returns ─▶ uv_loop_close must answer 0.
 *
 * A host that does not answer can't keep the program: a call of libvirt's that waits for it can't be broken off, so
 * after a grace, or at a second signal, the process ends without it, and says so. A connection that was still
 * being opened is left behind after a moment and costs the exit status nothing, for nothing was open; one that could
 * not be closed is a failure. */
#pragma once

#include <uv.h>

#include <list>
#include <memory>
#include <string>

#include "connection.hpp"
#include "demo.hpp"
#include "options.hpp"
#include "output.hpp"

namespace events {

class Watcher final : public ConnectionObserver {
 public:
  explicit Watcher(const Options &options);
  Watcher(const Watcher &) = delete;
  Watcher &operator=(const Watcher &) = delete;

  /* The exit status. */
  int run();

  void opened(const Connection &connection) override;
  void delivered(const Connection &connection, const Event &event) override;
  void bad_uri(const Connection &connection, const std::string &why) override;
  void ended(const Connection &connection) override;

 private:
  void start();
  void print(const std::string &text);
  void time_out();
  void interrupt();

  void stop(int status);
  void drain();
  void detach();
  void close_handles();
  void check_grace();
  [[noreturn]] void give_up();

  const Options options_;
  uv_loop_t loop_;
  uv_signal_t interrupted_, terminated_;
  uv_timer_t timer_; /* the time limit; once stopping, the grace */
  Output output_;
  Demo demo_;
  std::list<Connection> connections_;
  std::size_t ended_ = 0;
  std::uint64_t printed_ = 0;
  bool stopping_ = false;
  unsigned seconds_stopping_ = 0;
  int status_ = 0;
};

}  // namespace events
