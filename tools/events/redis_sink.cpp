/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "redis_sink.hpp"

#include <fmt/format.h>
#include <hiredis/adapters/libuv.h>
#include <hiredis/hiredis.h>

#include <array>
#include <utility>

#include "line.hpp"
#include "record.hpp"

namespace events {
namespace {

using virt_uv::watch::Severity;

constexpr std::size_t kMostInFlight = 1000;
constexpr std::uint64_t kAnswerLimitMs = 10000;

RedisSink *sink_of(const redisAsyncContext *redis) { return static_cast<RedisSink *>(redis->data); }

std::string random_run() {
  std::array<unsigned char, 8> bytes{};
  uv_random(nullptr, nullptr, bytes.data(), bytes.size(), 0, nullptr);
  std::string run;
  for (unsigned char byte : bytes) run += fmt::format("{:02x}", byte);
  return run;
}

}  // namespace

RedisSink::RedisSink(BrokerAddress address, std::size_t queue_bytes)
    : address_(std::move(address)),
      queue_(queue_bytes, [this](const Gap &gap) { return line_of(dropped_record(gap)); }),
      run_(random_run()) {}

int RedisSink::open(uv_loop_t *loop, SinkOwner *owner) {
  loop_ = loop;
  owner_ = owner;
  timer_.data = resolver_.data = this;
  const int error = uv_timer_init(loop, &timer_);
  if (error == 0) resolve();
  return error;
}

/* "ID JSON". */
std::string RedisSink::line_of(const virt_uv::watch::Record &record) {
  return fmt::format("{}-{} {}", run_, ++number_, virt_uv::watch::json_line(record));
}

void RedisSink::put(const virt_uv::watch::Record &record) {
  queue_.put(line_of(record));
  send();
}

void RedisSink::set_timer(std::uint64_t milliseconds, uv_timer_cb callback) {
  uv_timer_start(&timer_, callback, milliseconds, 0);
}

void RedisSink::resolve() {
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  is_resolving_ = true;
  const int error = uv_getaddrinfo(
      loop_, &resolver_,
      [](uv_getaddrinfo_t *resolver, int status, addrinfo *found) {
        auto *self = static_cast<RedisSink *>(resolver->data);
        self->is_resolving_ = false;
        if (!self->is_closing_) self->resolved(status, found);
        uv_freeaddrinfo(found);
        if (self->is_closing_) self->closed_();
      },
      address_.host.c_str(), nullptr, &wanted);
  if (error == 0) return;
  is_resolving_ = false;
  fail(uv_strerror(error));
}

void RedisSink::resolved(int status, const addrinfo *found) {
  if (status < 0) return fail(uv_strerror(status));
  char host[INET6_ADDRSTRLEN] = "";
  uv_ip_name(found->ai_addr, host, sizeof host);
  connect(host);
}

void RedisSink::connect(const char *host) {
  redis_ = redisAsyncConnect(host, address_.port);
  if (redis_ == nullptr) return fail(uv_strerror(UV_ENOMEM));
  if (redis_->err != 0) {
    const std::string why = redis_->errstr;
    redisAsyncFree(std::exchange(redis_, nullptr));
    return fail(why);
  }
  redis_->data = this;
  redisLibuvAttach(redis_, loop_);
  redisAsyncSetConnectCallback(redis_,
                               [](const redisAsyncContext *redis, int result) { sink_of(redis)->connected(result); });
  redisAsyncSetDisconnectCallback(redis_, [](const redisAsyncContext *redis, int) { sink_of(redis)->disconnected(); });
  expect_answer(); /* hiredis's adapter does not pass a refused connection on in every version */
}

/* Where it failed, hiredis frees the context when this has returned, and says so no more. */
void RedisSink::connected(int status) {
  if (status != REDIS_OK) {
    const std::string why = redis_->errstr;
    redis_ = nullptr;
    return fail(why);
  }
  is_connected_ = true;
  uv_timer_stop(&timer_);
  send();
}

void RedisSink::send() {
  if (!is_connected_ || is_closing_) return;
  for (; in_flight_ < queue_.size() && in_flight_ < kMostInFlight; ++in_flight_) {
    const std::string &line = queue_.at(in_flight_);
    const std::size_t space = line.find(' ');
    const std::array<const char *, 7> words = {"XADD",   address_.place.data(),  "*", "id", line.data(),
                                               "record", line.data() + space + 1};
    const std::array<std::size_t, 7> sizes = {4, address_.place.size(), 1, 2, space, 6, line.size() - space - 1};
    redisAsyncCommandArgv(
        redis_,
        [](redisAsyncContext *redis, void *reply, void *) {
          sink_of(redis)->acknowledged(static_cast<redisReply *>(reply));
        },
        nullptr, static_cast<int>(words.size()), const_cast<const char **>(words.data()), sizes.data());
  }
  if (in_flight_ > 0 && uv_is_active(reinterpret_cast<uv_handle_t *>(&timer_)) == 0) expect_answer();
}

void RedisSink::expect_answer() {
  set_timer(kAnswerLimitMs, [](uv_timer_t *timer) { static_cast<RedisSink *>(timer->data)->fail("no answer"); });
}

/* No reply: the connection has gone, which is told besides. */
void RedisSink::acknowledged(const redisReply *reply) {
  if (reply == nullptr || !is_connected_) return;
  if (reply->type == REDIS_REPLY_ERROR) return fail(reply->str);
  backoff_.reset();
  if (!std::exchange(problem_, "").empty())
    owner_->sink_notice(Severity::kInfo, fmt::format("{}: takes records again", address_.text));
  queue_.take();
  --in_flight_;
  uv_timer_stop(&timer_);
  send();
  if (is_idle()) owner_->sink_idle();
}

/* hiredis frees the context when this has returned. */
void RedisSink::disconnected() {
  if (redis_ == nullptr) return;
  const std::string why = redis_->err != 0 ? redis_->errstr : "the connection was closed";
  redis_ = nullptr;
  fail(why);
}

/* Begins anew, after a pause. */
void RedisSink::fail(const std::string &why) {
  is_connected_ = false;
  in_flight_ = 0;
  if (redis_ != nullptr) redisAsyncFree(std::exchange(redis_, nullptr));
  if (is_closing_) return;
  const std::uint64_t pause_ms = backoff_.next_pause();
  if (why != problem_)
    owner_->sink_notice(Severity::kWarning,
                        fmt::format("{}: {}; {} records wait; trying again in {:.1f} s", address_.text, why,
                                    queue_.size(), static_cast<double>(pause_ms) / 1000));
  problem_ = why;
  set_timer(pause_ms, [](uv_timer_t *timer) { static_cast<RedisSink *>(timer->data)->resolve(); });
}

void RedisSink::close(std::function<void()> closed) {
  is_closing_ = true;
  closed_ = std::move(closed);
  if (redis_ != nullptr) redisAsyncFree(std::exchange(redis_, nullptr));
  uv_close(reinterpret_cast<uv_handle_t *>(&timer_), [](uv_handle_t *timer) {
    auto *self = static_cast<RedisSink *>(timer->data);
    if (!self->is_resolving_) self->closed_();
  });
}

}  // namespace events
