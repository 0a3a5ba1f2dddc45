/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt and Redis as neighbours in one libuv loop, until it is interrupted:
 *
 *     domains-in-redis URI SOCKET_OF_REDIS
 *
 * Each lifecycle event is an entry of the stream `domains`. Each element of the list `commands`, "suspend NAME" or
 * "resume NAME", is carried out. hiredis's libuv adapter and virt-uv know nothing of each other. */
#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <libvirt/virterror.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <virt-uv/adapter.hpp>
#include <virt-uv/on_event.hpp>

namespace {

void say(const std::string &what) { std::fprintf(stderr, "%s\n", what.c_str()); }

[[noreturn]] void fail(const std::string &what) {
  say(what);
  std::exit(1);
}

redisAsyncContext *connect_to_redis(uv_loop_t *loop, const char *socket) {
  redisAsyncContext *redis = redisAsyncConnectUnix(socket);
  if (redis == nullptr || redis->err != 0 || redisLibuvAttach(redis, loop) != REDIS_OK)
    fail("no Redis at " + std::string(socket));
  redisAsyncSetDisconnectCallback(redis, [](const redisAsyncContext *context, int result) {
    if (result != REDIS_OK) fail(std::string("Redis: ") + context->errstr);
  });
  return redis;
}

struct Bridge {
  virt_uv::Adapter adapter;
  redisAsyncContext *events, *commands;  // a connection that waits in BLPOP can do nothing else
  virConnectPtr conn;
  virt_uv::EventRegistration lifecycle;
};

void take_next_command(Bridge *bridge);

/* A command. It is carried out in the thread pool, as it waits for the host. libvirt's error belongs to that thread. */
struct Act {
  uv_work_t work;
  Bridge *bridge;
  virConnectPtr conn;
  std::string text, error;

  static void carry_out(uv_work_t *work) {
    Act &act = *static_cast<Act *>(work->data);
    const auto is = [&act](const char *verb) { return act.text.rfind(verb, 0) == 0; };
    const auto function = is("suspend ") ? virDomainSuspend : is("resume ") ? virDomainResume : nullptr;
    if (function == nullptr) return void(act.error = "not a command");
    virDomainPtr domain = virDomainLookupByName(act.conn, act.text.c_str() + act.text.find(' ') + 1);
    if (domain == nullptr || function(domain) < 0) act.error = virGetLastErrorMessage();
    if (domain != nullptr) virDomainFree(domain);
  }

  static void done(uv_work_t *work, int) {
    Act *act = static_cast<Act *>(work->data);
    if (!act->error.empty()) say(act->text + ": " + act->error);
    virConnectClose(act->conn);
    if (act->bridge->commands != nullptr) take_next_command(act->bridge);
    delete act;
  }
};

void on_command(redisAsyncContext *, void *answer, void *opaque) {
  const auto *reply = static_cast<redisReply *>(answer);
  auto *bridge = static_cast<Bridge *>(opaque);
  if (reply == nullptr) return;  // the connection has ended
  if (reply->type != REDIS_REPLY_ARRAY) fail(std::string("BLPOP: ") + reply->str);
  virConnectRef(bridge->conn);
  auto *act = new Act{{}, bridge, bridge->conn, {reply->element[1]->str, reply->element[1]->len}, {}};
  act->work.data = act;
  uv_queue_work(bridge->adapter.loop(), &act->work, Act::carry_out, Act::done);
}

void take_next_command(Bridge *bridge) { redisAsyncCommand(bridge->commands, on_command, bridge, "BLPOP commands 0"); }

void on_interrupt(uv_signal_t *interrupt, int) {
  auto *bridge = static_cast<Bridge *>(interrupt->data);
  uv_close(reinterpret_cast<uv_handle_t *>(interrupt), nullptr);
  bridge->lifecycle.reset();
  virConnectClose(bridge->conn);
  redisAsyncFree(std::exchange(bridge->commands, nullptr));
  redisAsyncDisconnect(bridge->events);  // after the last replies
  bridge->adapter.drain([bridge] { bridge->adapter.detach(); });
}

}  // namespace

int main(int, char **argv) {
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t *loop = uv_default_loop();
  Bridge bridge{virt_uv::Adapter(loop), connect_to_redis(loop, argv[2]), connect_to_redis(loop, argv[2]), {}, {}};
  bridge.conn = virConnectOpen(argv[1]);  // nothing is in the loop yet that would have to wait
  if (bridge.conn == nullptr) fail(virGetLastErrorMessage());
  bridge.lifecycle = virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(
      bridge.conn, nullptr, [&](virConnectPtr, virDomainPtr domain, int event, int detail) {
        redisAsyncCommand(bridge.events, nullptr, nullptr, "XADD domains * domain %s event %d detail %d",
                          virDomainGetName(domain), event, detail);
      });
  take_next_command(&bridge);
  uv_signal_t interrupt;
  uv_signal_init(loop, &interrupt);
  interrupt.data = &bridge;
  uv_signal_start(&interrupt, on_interrupt, SIGINT);
  say("watching");
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
}
