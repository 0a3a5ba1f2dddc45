/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats_connection.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>

namespace events {
namespace {

constexpr std::int64_t kConnectLimitMs = 5000;
constexpr int kLowestDuplicate = 3; /* standard streams that are closed stay closed */

template <typename Handle>
NatsConnection &connection_of(Handle *handle) {
  return *static_cast<NatsConnection *>(handle->data);
}

/* Of the last call of cnats's on this thread. */
std::string error_text(natsStatus status) {
  natsStatus last = NATS_OK;
  const char *text = nats_GetLastError(&last);
  return last == status && text != nullptr && *text != '\0' ? text : natsStatus_GetText(status);
}

std::string url_of(const BrokerAddress &address) {
  const bool has_colons = address.host.find(':') != std::string::npos;
  return fmt::format(has_colons ? "nats://[{}]:{}" : "nats://{}:{}", address.host, address.port);
}

/* {"stream": …, "seq": …}, or {"error": {"description": …}}. */
std::string refusal_in(std::string_view answer) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return fmt::format("not an answer of JetStream: {}", answer);
  const auto error = json.find("error");
  return error == json.end() ? "" : error->value("description", error->dump());
}

}  // namespace

NatsConnection *NatsConnection::open(uv_loop_t *loop, const BrokerAddress &address, NatsConnectionOwner *owner) {
  auto *self = new NatsConnection(address, owner);
  self->work_.data = self->wake_.data = self->poll_.data = self;
  const auto on_wake = [](uv_async_t *wake) { connection_of(wake).poll_for_what_is_wanted(); };
  if (uv_async_init(loop, &self->wake_, on_wake) != 0) {
    delete self;
    return nullptr;
  }
  self->work([](NatsConnection &it) { it.connect(); }, [](NatsConnection &it) { it.connect_is_done(); });
  return self;
}

NatsConnection::~NatsConnection() {
  if (dup_ >= 0) ::close(dup_);
}

/* One at a time. */
void NatsConnection::work(void (*in_pool)(NatsConnection &), void (*in_loop)(NatsConnection &)) {
  is_working_ = true;
  in_pool_ = in_pool;
  in_loop_ = in_loop;
  uv_queue_work(
      wake_.loop, &work_, [](uv_work_t *work) { connection_of(work).in_pool_(connection_of(work)); },
      [](uv_work_t *work, int) {
        connection_of(work).is_working_ = false;
        connection_of(work).in_loop_(connection_of(work));
      });
}

/* --- Opening --- */

void NatsConnection::connect() {
  const natsStatus status = try_to_connect();
  if (status != NATS_OK) why_ = error_text(status);
}

natsStatus NatsConnection::try_to_connect() {
  natsStatus s = natsOptions_Create(&options_);
  if (s == NATS_OK) s = natsOptions_SetURL(options_, url_of(address_).c_str());
  if (s == NATS_OK) s = natsOptions_SetName(options_, "virt-uv-events");
  if (s == NATS_OK) s = natsOptions_SetTimeout(options_, kConnectLimitMs);
  if (s == NATS_OK) s = natsOptions_SetAllowReconnect(options_, false);
  if (s == NATS_OK) s = natsOptions_SetPingInterval(options_, 0);
  if (s == NATS_OK) s = natsOptions_SetSendAsap(options_, true);
  if (s == NATS_OK) s = natsOptions_SetEventLoop(options_, this, on_attach, on_read, on_write, on_detach);
  if (s == NATS_OK) s = natsConnection_Connect(&connection_, options_);
  natsInbox *inbox = nullptr;
  if (s == NATS_OK) s = natsInbox_Create(&inbox);
  if (s == NATS_OK) inbox_ = inbox;
  natsInbox_Destroy(inbox);
  if (s == NATS_OK) s = natsConnection_SubscribeSync(&answers_, connection_, (inbox_ + ".*").c_str());
  return s;
}

void NatsConnection::connect_is_done() {
  if (has_ended_) return destroy();
  if (why_.empty()) {
    const int error = uv_poll_init(wake_.loop, &poll_, dup_);
    is_polling_ = error == 0;
    if (error != 0) why_ = uv_strerror(error);
  }
  if (!why_.empty()) return owner_->nats_failed(why_);
  poll_for_what_is_wanted();
  owner_->nats_connected();
}

/* --- What cnats wants of the loop --- */

natsStatus NatsConnection::on_attach(void **user_data, void *loop, natsConnection *, natsSock socket) {
  auto *self = static_cast<NatsConnection *>(loop); /* what was given as the loop */
  *user_data = self;
  self->dup_ = fcntl(socket, F_DUPFD_CLOEXEC, kLowestDuplicate);
  if (self->dup_ < 0) return NATS_SYS_ERROR;
  self->want(UV_READABLE, true);
  return NATS_OK;
}

natsStatus NatsConnection::on_read(void *user_data, bool add) {
  static_cast<NatsConnection *>(user_data)->want(UV_READABLE, add);
  return NATS_OK;
}

natsStatus NatsConnection::on_write(void *user_data, bool add) {
  static_cast<NatsConnection *>(user_data)->want(UV_WRITABLE, add);
  return NATS_OK;
}

natsStatus NatsConnection::on_detach(void *user_data) {
  static_cast<NatsConnection *>(user_data)->want(UV_READABLE | UV_WRITABLE, false);
  return NATS_OK;
}

/* Any thread. */
void NatsConnection::want(int event, bool is_wanted) {
  if (is_wanted)
    wanted_ |= event;
  else
    wanted_ &= ~event;
  uv_async_send(&wake_);
}

void NatsConnection::poll_for_what_is_wanted() {
  if (!is_polling_) return;
  const int wanted = wanted_;
  if (wanted == 0)
    uv_poll_stop(&poll_);
  else
    uv_poll_start(&poll_, wanted,
                  [](uv_poll_t *poll, int status, int events) { connection_of(poll).on_poll(status, events); });
}

/* An event that is not wanted any more is not passed on: cnats takes a write of nothing for the end of the connection.
 */
void NatsConnection::on_poll(int status, int events) {
  if (status != 0 || (events & wanted_ & UV_READABLE) != 0) natsConnection_ProcessReadEvent(connection_);
  if (status == 0 && (events & wanted_ & UV_WRITABLE) != 0) natsConnection_ProcessWriteEvent(connection_);
  poll_for_what_is_wanted();
  take_answers();
  if (has_ended_ || !natsConnection_IsClosed(connection_)) return;
  const char *why = nullptr;
  natsConnection_GetLastError(connection_, &why);
  owner_->nats_failed(why != nullptr && *why != '\0' ? why : "the connection was closed");
}

/* --- Records and answers --- */

std::string NatsConnection::publish(std::string_view id, std::string_view record) {
  const std::string reply = fmt::format("{}.{}", inbox_, id);
  natsMsg *msg = nullptr;
  natsStatus s =
      natsMsg_Create(&msg, address_.place.c_str(), reply.c_str(), record.data(), static_cast<int>(record.size()));
  if (s == NATS_OK) s = natsMsgHeader_Set(msg, "Nats-Msg-Id", std::string(id).c_str());
  if (s == NATS_OK) s = natsConnection_PublishMsg(connection_, msg);
  natsMsg_Destroy(msg);
  return s == NATS_OK ? "" : error_text(s);
}

/* Of those that wait: it does not wait for more. */
void NatsConnection::take_answers() {
  while (!has_ended_) {
    natsMsg *msg = nullptr;
    const natsStatus status = natsSubscription_NextMsg(&msg, answers_, 0);
    if (status == NATS_NO_RESPONDERS)
      return owner_->nats_failed(
          fmt::format("no stream has the subject {}: make one, as by `nats stream add --subjects={} "
                      "NAME`",
                      address_.place, address_.place));
    if (status != NATS_OK) return;
    answered(msg);
  }
}

void NatsConnection::answered(natsMsg *msg) {
  const std::string subject = natsMsg_GetSubject(msg);
  const std::string answer(natsMsg_GetData(msg), static_cast<std::size_t>(natsMsg_GetDataLength(msg)));
  natsMsg_Destroy(msg);
  owner_->nats_answered(std::string_view(subject).substr(inbox_.size() + 1), refusal_in(answer));
}

/* --- The end --- */

void NatsConnection::end() {
  has_ended_ = true;
  if (!is_working_) destroy();
}

void NatsConnection::destroy() {
  if (is_polling_) {
    is_polling_ = false;
    return uv_close(reinterpret_cast<uv_handle_t *>(&poll_), [](uv_handle_t *poll) { connection_of(poll).destroy(); });
  }
  work(
      [](NatsConnection &it) {
        natsSubscription_Destroy(it.answers_);
        natsConnection_Destroy(it.connection_);
        natsOptions_Destroy(it.options_);
      },
      [](NatsConnection &it) {
        uv_close(reinterpret_cast<uv_handle_t *>(&it.wake_), [](uv_handle_t *wake) {
          NatsConnection *self = &connection_of(wake);
          NatsConnectionOwner *owner = self->owner_;
          delete self;
          owner->nats_ended();
        });
      });
}

}  // namespace events
