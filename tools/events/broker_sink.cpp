/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker_sink.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "line.hpp"
#include "record.hpp"

namespace events {
namespace {

using virt_uv::watch::Severity;

constexpr std::size_t kMostInFlight = 1000;
constexpr std::uint64_t kAnswerLimitMs = 10000;

std::string random_run() {
  std::array<unsigned char, 8> bytes{};
  uv_random(nullptr, nullptr, bytes.data(), bytes.size(), 0, nullptr);
  std::string run;
  for (unsigned char byte : bytes) run += fmt::format("{:02x}", byte);
  return run;
}

std::pair<std::string_view, std::string_view> split(std::string_view line) {
  const std::size_t space = line.find(' ');
  return {line.substr(0, space), line.substr(space + 1)};
}

BrokerSink *sink_of(uv_timer_t *timer) { return static_cast<BrokerSink *>(timer->data); }

}  // namespace

BrokerSink::BrokerSink(BrokerAddress address, std::size_t queue_bytes, const char *obstacle)
    : address_(std::move(address)),
      obstacle_(obstacle),
      queue_(queue_bytes, [this](const Gap &gap) { return line_of(dropped_record(gap)); }),
      run_(random_run()) {}

int BrokerSink::open(uv_loop_t *loop, SinkOwner *owner) {
  loop_ = loop;
  owner_ = owner;
  timer_.data = this;
  const int error = uv_timer_init(loop, &timer_);
  if (error == 0) begin();
  return error;
}

std::string BrokerSink::line_of(const virt_uv::watch::Record &record) {
  return fmt::format("{}-{} {}", run_, ++number_, virt_uv::watch::json_line(record));
}

void BrokerSink::put(const virt_uv::watch::Record &record) {
  queue_.put(line_of(record));
  send_more();
}

std::string_view BrokerSink::first_id() const { return split(queue_.at(0)).first; }

void BrokerSink::set_timer(std::uint64_t milliseconds, uv_timer_cb callback) {
  uv_timer_start(&timer_, callback, milliseconds, 0);
}

void BrokerSink::begin() {
  expect_answer();
  connect();
}

void BrokerSink::connected() {
  is_connected_ = true;
  uv_timer_stop(&timer_);
  send_more();
}

/* A send may fail at once. */
void BrokerSink::send_more() {
  if (is_closing_) return;
  while (is_connected_ && in_flight_ < queue_.size() && in_flight_ < kMostInFlight) {
    const auto [id, record] = split(queue_.at(in_flight_++));
    send(id, record);
  }
  if (in_flight_ > 0 && uv_is_active(reinterpret_cast<uv_handle_t *>(&timer_)) == 0) expect_answer();
}

void BrokerSink::expect_answer() {
  set_timer(kAnswerLimitMs, [](uv_timer_t *timer) { sink_of(timer)->fail("no answer"); });
}

void BrokerSink::acknowledged(std::string_view id) {
  if (id != first_id()) return fail(fmt::format("acknowledged {} before {}", id, first_id()));
  backoff_.reset();
  if (!std::exchange(problem_, "").empty())
    owner_->sink_notice(Severity::kInfo, fmt::format("{}: takes records again", address_.text));
  queue_.take();
  --in_flight_;
  uv_timer_stop(&timer_);
  send_more();
  if (is_idle()) owner_->sink_idle();
}

void BrokerSink::fail(const std::string &why) {
  is_connected_ = false;
  in_flight_ = 0;
  disconnect();
  if (is_closing_) return;
  const std::uint64_t pause_ms = backoff_.next_pause();
  if (why != problem_)
    owner_->sink_notice(Severity::kWarning,
                        fmt::format("{}: {}; {} records wait; trying again in {:.1f} s", address_.text, why,
                                    queue_.size(), static_cast<double>(pause_ms) / 1000));
  problem_ = why;
  set_timer(pause_ms, [](uv_timer_t *timer) { sink_of(timer)->begin(); });
}

void BrokerSink::close(std::function<void()> closed) {
  is_closing_ = true;
  is_connected_ = false;
  closed_ = std::move(closed);
  disconnect();
  uv_close(reinterpret_cast<uv_handle_t *>(&timer_), [](uv_handle_t *timer) {
    BrokerSink *self = sink_of(reinterpret_cast<uv_timer_t *>(timer));
    self->is_timer_closed_ = true;
    self->close_when_disconnected();
  });
}

void BrokerSink::close_when_disconnected() {
  if (is_timer_closed_ && is_disconnected()) closed_();
}

}  // namespace events
