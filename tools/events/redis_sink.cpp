/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "redis_sink.hpp"

#include <hiredis/adapters/libuv.h>
#include <hiredis/hiredis.h>

#include <array>
#include <utility>

namespace events {
namespace {

RedisSink *sink_of(const redisAsyncContext *redis) { return static_cast<RedisSink *>(redis->data); }

}  // namespace

RedisSink::RedisSink(BrokerAddress address, std::size_t queue_bytes)
    : BrokerSink(std::move(address), queue_bytes, "Redis has not acknowledged them") {
  resolver_.data = this;
}

/* An attempt that was given up may still be with the resolver: it is the new one's, too. */
void RedisSink::connect() {
  is_given_up_ = false;
  if (std::exchange(is_resolving_, true)) return;
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  const int error = uv_getaddrinfo(
      loop(), &resolver_,
      [](uv_getaddrinfo_t *resolver, int status, addrinfo *found) {
        auto *self = static_cast<RedisSink *>(resolver->data);
        self->is_resolving_ = false;
        if (!self->is_given_up_) self->resolved(status, found);
        uv_freeaddrinfo(found);
        self->disconnected();
      },
      address().host.c_str(), nullptr, &wanted);
  if (error == 0) return;
  is_resolving_ = false;
  fail(uv_strerror(error));
}

void RedisSink::resolved(int status, const addrinfo *found) {
  if (status < 0) return fail(uv_strerror(status));
  char host[INET6_ADDRSTRLEN] = "";
  uv_ip_name(found->ai_addr, host, sizeof host);
  connect_to(host);
}

void RedisSink::connect_to(const char *host) {
  redis_ = redisAsyncConnect(host, address().port);
  if (redis_ == nullptr) return fail(uv_strerror(UV_ENOMEM));
  if (redis_->err != 0) return fail(std::string(redis_->errstr));
  redis_->data = this;
  redisLibuvAttach(redis_, loop());
  redisAsyncSetConnectCallback(
      redis_, [](const redisAsyncContext *redis, int result) { sink_of(redis)->on_connected(result); });
  redisAsyncSetDisconnectCallback(redis_,
                                  [](const redisAsyncContext *redis, int) { sink_of(redis)->on_disconnected(); });
}

/* Where it failed, hiredis frees the context when this has returned, and says so no more. */
void RedisSink::on_connected(int status) {
  if (status == REDIS_OK) return connected();
  const std::string why = redis_->errstr;
  redis_ = nullptr;
  fail(why);
}

void RedisSink::send(std::string_view id, std::string_view record) {
  const std::string &stream = address().place;
  const std::array<const char *, 7> words = {"XADD", stream.data(), "*", "id", id.data(), "record", record.data()};
  const std::array<std::size_t, 7> sizes = {4, stream.size(), 1, 2, id.size(), 6, record.size()};
  redisAsyncCommandArgv(
      redis_,
      [](redisAsyncContext *redis, void *reply, void *) { sink_of(redis)->on_reply(static_cast<redisReply *>(reply)); },
      nullptr, static_cast<int>(words.size()), const_cast<const char **>(words.data()), sizes.data());
}

/* No reply: the connection has gone, which is told besides. */
void RedisSink::on_reply(const redisReply *reply) {
  if (reply == nullptr || !is_connected()) return;
  if (reply->type == REDIS_REPLY_ERROR) return fail(reply->str);
  acknowledged(first_id()); /* a connection's replies are in the order of its commands */
}

/* hiredis frees the context when this has returned. */
void RedisSink::on_disconnected() {
  if (redis_ == nullptr) return;
  const std::string why = redis_->err != 0 ? redis_->errstr : "the connection was closed";
  redis_ = nullptr;
  fail(why);
}

void RedisSink::disconnect() {
  is_given_up_ = true;
  if (redis_ != nullptr) redisAsyncFree(std::exchange(redis_, nullptr));
}

}  // namespace events
