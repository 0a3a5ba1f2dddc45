/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watcher.hpp"

#include <fmt/format.h>
#include <virt-uv/virt-uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "complain.hpp"
#include "line.hpp"

namespace events {
namespace {

/* How long, in seconds, a stop waits for connections that are being opened, and for those that are being closed. */
constexpr unsigned kOpenGrace = 1;
constexpr unsigned kCloseGrace = 30;

template <typename Handle>
uv_handle_t *handle(Handle *specific) {
  return reinterpret_cast<uv_handle_t *>(specific);
}

template <typename Handle>
Watcher *watcher_of(Handle *specific) {
  return static_cast<Watcher *>(specific->data);
}

}  // namespace

Watcher::Watcher(const Options &options)
    : options_(options), demo_(&loop_, [this](const std::string &problem) {
        if (!problem.empty()) complain("the demonstration failed: " + problem);
        stop(problem.empty() ? 0 : 1);
      }) {}

int Watcher::run() {
  int error = uv_loop_init(&loop_);
  if (error < 0) {
    complain(fmt::format("no event loop: {}", uv_strerror(error)));
    return 1;
  }
  error = virt_uv_attach(&loop_, nullptr);
  if (error == 0) {
    start();
    uv_run(&loop_, UV_RUN_DEFAULT);
  } else {
    complain(
        fmt::format("libvirt's events can't be had in the loop: {} (VIRT_UV_LOG=error says more)", uv_strerror(error)));
    status_ = 1;
  }
  error = uv_loop_close(&loop_);
  if (error == 0) return status_;
  complain(fmt::format("the loop did not close: {}", uv_strerror(error)));
  return 1;
}

void Watcher::start() {
  for (auto [signal, number] : {std::pair(&interrupted_, SIGINT), std::pair(&terminated_, SIGTERM)}) {
    uv_signal_init(&loop_, signal);
    signal->data = this;
    uv_signal_start(
        signal, [](uv_signal_t *caught, int) { watcher_of(caught)->interrupt(); }, number);
  }
  uv_timer_init(&loop_, &timer_);
  timer_.data = this;
  if (options_.demo || options_.timeout_ms)
    uv_timer_start(
        &timer_, [](uv_timer_t *timer) { watcher_of(timer)->time_out(); }, options_.timeout_ms.value_or(Demo::kLimitMs),
        0);
  output_.watch_reader([this] { stop(0); });
  ConnectionOptions options{options_.keepalive, options_.reconnect, options_.kinds};
  for (const std::string &uri : options_.uris) connections_.emplace_back(&loop_, this, options, uri).start();
}

void Watcher::opened(const Connection &) {
  if (options_.demo) demo_.begin();
}

void Watcher::delivered(const Connection &connection, const Event &event) {
  if (stopping_) return;
  print(options_.json ? json_line(connection.uri(), event) : text_line(connection.uri(), event));
  if (++printed_ == options_.count) stop(0);
  if (options_.demo) demo_.saw(event);
}

void Watcher::print(const std::string &text) {
  int error = Output::write(text);
  if (error == 0) return;
  /* A reader that has gone has had enough: nothing to complain of. */
  if (error != EPIPE) complain(fmt::format("stdout can't be written: {}", std::strerror(error)));
  stop(error == EPIPE ? 0 : 1);
}

void Watcher::bad_uri(const Connection &connection, const std::string &why) {
  complain(fmt::format("-c: '{}' is not a libvirt URI: {}", connection.uri(), why));
  stop(2);
}

void Watcher::ended(const Connection &) {
  if (++ended_ < connections_.size()) return;
  stop(1);
  drain();
}

void Watcher::time_out() {
  if (options_.demo) complain("the demonstration failed: " + demo_.waiting_for());
  stop(options_.demo ? 1 : 0);
}

void Watcher::interrupt() {
  if (stopping_) give_up();
  stop(0);
}

/* The first cause decides the status. */
void Watcher::stop(int status) {
  if (std::exchange(stopping_, true)) return;
  status_ = status;
  demo_.stop();
  uv_timer_start(
      &timer_, [](uv_timer_t *timer) { watcher_of(timer)->check_grace(); }, 1000, 1000);
  for (Connection &connection : connections_) connection.stop();
}

void Watcher::drain() {
  output_.unwatch_reader();
  virt_uv_drain([](void *opaque) { static_cast<Watcher *>(opaque)->detach(); }, this);
}

void Watcher::detach() {
  virt_uv_detach([](void *opaque) { static_cast<Watcher *>(opaque)->close_handles(); }, this);
}

void Watcher::close_handles() {
  uv_close(handle(&timer_), nullptr);
  uv_close(handle(&interrupted_), nullptr);
  uv_close(handle(&terminated_), nullptr);
}

void Watcher::check_grace() {
  ++seconds_stopping_;
  bool only_opening =
      ended_ < connections_.size() &&
      std::all_of(connections_.begin(), connections_.end(), [](const Connection &connection) {
        return connection.state() == Connection::State::kOpening || connection.state() == Connection::State::kEnded;
      });
  if (seconds_stopping_ >= (only_opening ? kOpenGrace : kCloseGrace)) give_up();
}

/* Not exit(): libuv's destructor would wait for the threads of the pool, and thereby for the host. */
void Watcher::give_up() {
  int status = status_;
  for (const Connection &connection : connections_) {
    if (connection.state() == Connection::State::kEnded) continue;
    bool opening = connection.state() == Connection::State::kOpening;
    complain(fmt::format("{}: {}", connection.uri(),
                         opening ? "left behind while it was being opened" : "left behind without being closed"));
    if (!opening && status == 0) status = 1;
  }
  if (ended_ == connections_.size()) {
    complain("libvirt has not given up all its sockets and timers");
    status = 1;
  }
  std::_Exit(status);
}

}  // namespace events
