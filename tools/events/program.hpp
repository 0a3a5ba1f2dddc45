/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The program: one libuv loop with libvirt's events in it, the connections, the sink, and everything that may end the
 * watching. It always ends in the same way, whatever the cause (a signal, --count, --timeout, the reader of the output
 * gone, no connection left):
 *
 *   stop: every connection unsubscribes and closes ─▶ the sink delivers what waits and closes ─▶ drain: libvirt has
 * given up its last socket and timer ─▶ detach: the library has closed its handles ─▶ our own are closed ─▶ uv_run
 * returns ─▶ uv_loop_close returns 0.
 *
 * Nothing can keep the program for more than a second: neither a host that does not answer (a libvirt call that waits
 * for it cannot be interrupted) nor a reader of the output that sleeps. After that second, or at a second signal, the
 * process ends without them, and says so. */
#pragma once

#include <uv.h>
#include <virt-uv/virt-uv.h>

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <string>

#include "connection.hpp"
#include "demo.hpp"
#include "log.hpp"
#include "options.hpp"
#include "service_manager.hpp"
#include "sink.hpp"
#include "workers.hpp"

namespace events {

/* As the manual's table has them. */
enum Status { kDone = 0, kFailed = 1, kBadInput = 2, kNeverConnected = 3, kCountNotReached = 4 };

class Program final : public virt_uv::watch::Observer, private SinkOwner {
 public:
  explicit Program(const Options &options);
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;

  /* The exit status. */
  int run();

 private:
  using Connection = virt_uv::watch::Connection;

  void on_record(const Connection &connection, virt_uv::watch::Record record) override;
  void on_open(const Connection &connection) override;
  void on_notice(const Connection &connection, Severity severity, const std::string &text) override;
  void on_bad_uri(const Connection &connection, const std::string &why) override;
  void on_ended(const Connection &connection) override;
  void sink_failed(int status, const std::string &why) override;
  void sink_idle() override;
  void sink_notice(Severity severity, const std::string &text) override;

  int open();
  void report_undecoded();
  void start();
  void start_signals();
  void start_timers();
  void time_out();
  void interrupt();
  void report_stats();
  void tell_service_manager(const Connection &tried);
  int status_of_end() const;

  void stop(int status);
  void close_sink_when_idle();
  void drain();
  void close_handles();
  void abandon();
  void report_abandoned();
  void flush_log();
  [[noreturn]] void end_without_closing();

  const Options options_;
  uv_loop_t loop_;
  std::array<uv_signal_t, 3> signals_;
  uv_timer_t timer_; /* the time limit; once stopping, the grace */
  uv_timer_t stats_timer_;
  Log log_;
  ServiceManager service_{&log_};
  virt_uv::watch::Workers workers_;
  std::unique_ptr<Sink> sink_;
  Demo demo_;
  std::list<Connection> connections_;
  std::set<const Connection *> tried_; /* have been opened, or could not be */
  int open_ = 0;
  std::size_t ended_ = 0;
  std::uint64_t events_ = 0;
  bool stopping_ = false, closing_sink_ = false, abandoned_ = false;
  int status_ = kDone;
  std::string bad_input_;
};

}  // namespace events
