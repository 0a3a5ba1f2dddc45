/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "program.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "brokers.hpp"
#include "exec_sink.hpp"
#include "output.hpp"

namespace events {
namespace {

using virt_uv::watch::Record;

/* Together within the second that the manual promises. */
constexpr std::uint64_t kGraceMs = 700;
constexpr std::uint64_t kLogGraceMs = 200;

template <typename Handle>
uv_handle_t *handle(Handle *specific) {
  return reinterpret_cast<uv_handle_t *>(specific);
}

template <typename Handle>
Program *program_of(Handle *specific) {
  return static_cast<Program *>(specific->data);
}

std::unique_ptr<Sink> make_sink(const Options &options) {
  if (options.to) return make_broker_sink(*options.to, options.queue_bytes);
  if (options.exec) return std::make_unique<ExecSink>(*options.exec, options.queue_bytes);
  return std::make_unique<Output>(options.format, options.queue_bytes);
}

/* The library's own lines: errors and warnings, and what VIRT_UV_LOG asks for besides. */
void log_library(virt_uv_log_level level, const char *message, void *opaque) {
  static const bool wants_all = [] {
    const char *wanted = std::getenv("VIRT_UV_LOG");
    return wanted != nullptr && (wanted == std::string("info") || wanted == std::string("debug"));
  }();
  if (level > VIRT_UV_LOG_WARN && !wants_all) return;
  Severity severity = level == VIRT_UV_LOG_ERROR  ? Severity::kError
                      : level == VIRT_UV_LOG_WARN ? Severity::kWarning
                                                  : Severity::kInfo;
  static_cast<Log *>(opaque)->write(severity, message);
}

}  // namespace

Program::Program(const Options &options)
    : options_(options), sink_(make_sink(options)), demo_(&workers_, [this](const std::string &problem) {
        if (!problem.empty()) log_.write(Severity::kError, "the demonstration failed: " + problem);
        stop(problem.empty() ? kDone : kFailed);
      }) {}

int Program::run() {
  int error = open();
  if (error < 0) {
    print_error(fmt::format("libvirt's events cannot be had in a libuv loop: {}", uv_strerror(error)));
    std::_Exit(kFailed); /* what has been opened so far cannot be closed without a loop that runs */
  }
  start();
  uv_run(&loop_, UV_RUN_DEFAULT);
  if (abandoned_) report_abandoned();
  flush_log();
  if (!bad_input_.empty()) print_error(bad_input_);
  if (abandoned_) end_without_closing();
  uv_close(handle(&timer_), nullptr);
  log_.close([] {});
  uv_run(&loop_, UV_RUN_DEFAULT);
  error = uv_loop_close(&loop_);
  if (error == 0) return status_;
  print_error(fmt::format("the loop did not close: {}", uv_strerror(error)));
  return kFailed;
}

int Program::open() {
  int error = uv_loop_init(&loop_);
  if (error == 0) error = log_.open(&loop_, options_.quiet);
  if (error == 0)
    error = workers_.start(&loop_, [this](std::size_t threads, const std::string &why) {
      log_.write(Severity::kWarning,
                 fmt::format("no more than {} threads can be started ({}): connections wait for one "
                             "another; raise the limit (ulimit -u, or TasksMax= in the unit)",
                             threads, why));
    });
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = log_library;
  options.log_opaque = &log_;
  if (error == 0) error = virt_uv_attach(&loop_, &options);
  if (error == 0) error = sink_->open(&loop_, this);
  return error;
}

/* Built with an older libvirt than it runs with. */
void Program::report_undecoded() {
  unsigned long running = 0;
  virGetVersion(&running, nullptr, nullptr);
  std::vector<std::string> kinds = virt_uv::watch::undecoded_kinds(running);
  if (kinds.empty()) return;
  log_.write(Severity::kWarning,
             fmt::format("this program was built with an older libvirt than it runs with, and cannot "
                         "watch: {}",
                         fmt::join(kinds, ", ")));
}

void Program::start() {
  report_undecoded();
  start_signals();
  start_timers();
  service_.open(&loop_);
  virt_uv::watch::ConnectionOptions options;
  options.keepalive = options_.keepalive;
  options.reconnect = options_.reconnect;
  options.states = options_.states;
  options.kinds = options_.kinds;
  options.expected = options_.expected;
  options.domains = options_.domains;
  for (const std::string &uri : options_.uris) connections_.emplace_back(&loop_, &workers_, this, options, uri).start();
}

/* nohup(1) has SIGHUP ignored, and it stays so. */
void Program::start_signals() {
  constexpr int kNumbers[] = {SIGINT, SIGTERM, SIGHUP};
  for (std::size_t i = 0; i < signals_.size(); i++) {
    uv_signal_init(&loop_, &signals_[i]);
    signals_[i].data = this;
    struct sigaction before;
    if (kNumbers[i] == SIGHUP && sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    uv_signal_start(
        &signals_[i], [](uv_signal_t *caught, int) { program_of(caught)->interrupt(); }, kNumbers[i]);
  }
}

void Program::start_timers() {
  for (uv_timer_t *timer : {&timer_, &stats_timer_}) {
    uv_timer_init(&loop_, timer);
    timer->data = this;
  }
  if (options_.demo || options_.timeout_ms)
    uv_timer_start(
        &timer_, [](uv_timer_t *timer) { program_of(timer)->time_out(); }, options_.timeout_ms.value_or(Demo::kLimitMs),
        0);
  if (options_.stats_ms)
    uv_timer_start(
        &stats_timer_, [](uv_timer_t *timer) { program_of(timer)->report_stats(); }, *options_.stats_ms,
        *options_.stats_ms);
}

void Program::on_record(const Connection &, Record record) {
  if (stopping_ && record.kind != nullptr) return;
  sink_->put(record);
  if (record.event == std::string_view("connection")) open_ += record.fields["state"] == "lost" ? -1 : 1;
  if (record.kind == nullptr) return;
  if (++events_ == options_.count) stop(kDone);
  if (options_.demo) demo_.saw(record);
}

void Program::on_open(const Connection &connection) {
  log_.write(Severity::kInfo, fmt::format("{}: open, {} kinds of events", connection.uri(), connection.subscribed()));
  tell_service_manager(connection);
  if (options_.demo) demo_.begin();
}

void Program::on_notice(const Connection &connection, Severity severity, const std::string &text) {
  log_.write(severity, fmt::format("{}: {}", connection.uri(), text));
  tell_service_manager(connection);
}

void Program::on_bad_uri(const Connection &connection, const std::string &why) {
  bad_input_ = fmt::format("-c: '{}' is not a libvirt URI: {}", connection.uri(), why);
  stop(kBadInput);
}

void Program::on_ended(const Connection &) {
  if (++ended_ < connections_.size()) return;
  stop(kFailed);
  close_sink_when_idle();
}

void Program::sink_failed(int status, const std::string &why) {
  if (!why.empty()) log_.write(Severity::kError, why);
  stop(status);
  if (status_ == kDone) status_ = status; /* what was to be the end has not been delivered */
  close_sink_when_idle();
}

void Program::sink_idle() { close_sink_when_idle(); }

void Program::sink_notice(Severity severity, const std::string &text) { log_.write(severity, text); }

void Program::time_out() {
  if (options_.demo) log_.write(Severity::kError, "the demonstration failed: " + demo_.waiting_for());
  stop(options_.demo ? kFailed : status_of_end());
}

void Program::interrupt() {
  if (stopping_) return abandon();
  stop(status_of_end());
}

/* Of an end that a signal or the time limit brings. */
int Program::status_of_end() const {
  if (std::none_of(connections_.begin(), connections_.end(),
                   [](const Connection &connection) { return connection.has_been_open(); }))
    return kNeverConnected;
  return options_.count && events_ < *options_.count ? kCountNotReached : kDone;
}

void Program::report_stats() {
  sink_->put({"stats",
              fmt::format("stats: {} of {} connections open, {} events, {} dropped, {} waiting ({} bytes)", open_,
                          connections_.size(), events_, sink_->dropped(), sink_->waiting(), sink_->queued_bytes()),
              {{"connections", connections_.size()},
               {"open", open_},
               {"events", events_},
               {"dropped", sink_->dropped()},
               {"waiting", sink_->waiting()},
               {"queuedBytes", sink_->queued_bytes()}}});
}

/* Ready once each connection has been opened, or could not be: a host that is down keeps no service from starting. */
void Program::tell_service_manager(const Connection &tried) {
  if (stopping_) return;
  service_.set_status(fmt::format("{} of {} connections open", open_, options_.uris.size()));
  if (tried_.insert(&tried).second && tried_.size() == options_.uris.size()) service_.tell_ready();
}

/* The first cause decides the status. */
void Program::stop(int status) {
  if (std::exchange(stopping_, true)) return;
  service_.tell_stopping();
  status_ = status;
  demo_.stop();
  uv_timer_stop(&stats_timer_);
  uv_timer_start(
      &timer_, [](uv_timer_t *timer) { program_of(timer)->abandon(); }, kGraceMs, 0);
  for (Connection &connection : connections_) connection.stop();
}

void Program::close_sink_when_idle() {
  if (ended_ < connections_.size() || closing_sink_ || !sink_->is_idle()) return;
  closing_sink_ = true;
  sink_->close([this] { drain(); });
}

void Program::drain() {
  virt_uv_drain(
      [](void *opaque) {
        virt_uv_detach([](void *program) { static_cast<Program *>(program)->close_handles(); }, opaque);
      },
      this);
}

void Program::close_handles() {
  uv_close(handle(&stats_timer_), nullptr);
  service_.close();
  for (uv_signal_t &signal : signals_) uv_close(handle(&signal), nullptr);
  workers_.close([this] { uv_stop(&loop_); });
}

void Program::abandon() {
  abandoned_ = true;
  uv_stop(&loop_);
}

void Program::report_abandoned() {
  for (const Connection &connection : connections_) {
    if (connection.state() == Connection::State::kEnded) continue;
    bool opening = connection.state() == Connection::State::kOpening;
    log_.write(Severity::kWarning,
               fmt::format("{}: left behind while it was being {}", connection.uri(), opening ? "opened" : "closed"));
  }
  if (!sink_->is_idle()) {
    log_.write(Severity::kError, fmt::format("{} records were not delivered: {}", sink_->waiting(), sink_->obstacle()));
    if (status_ == kDone) status_ = kFailed;
  }
  if (closing_sink_) log_.write(Severity::kWarning, "ended before libvirt had given up all its sockets and timers");
}

/* The loop has been stopped: it runs on for no more than a moment. */
void Program::flush_log() {
  bool late = false;
  timer_.data = &late;
  uv_timer_start(
      &timer_, [](uv_timer_t *timer) { *static_cast<bool *>(timer->data) = true; }, kLogGraceMs, 0);
  while (!late && !log_.is_idle()) uv_run(&loop_, UV_RUN_ONCE);
  uv_timer_stop(&timer_);
}

/* exit() would wait for threads, and thereby for the hosts. */
void Program::end_without_closing() {
  sink_->restore();
  log_.restore();
  std::_Exit(status_);
}

}  // namespace events
