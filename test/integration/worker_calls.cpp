/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Remote calls from four worker threads while the loop dispatches events: the use that an adapter without a queue dies
 * of within a second. Each call takes its watch's mask away and gives it back, and restarts the keepalive timer, from
 * its own thread; each suspend and resume comes back as an event in the loop, and each connection that is opened and
 * closed beside it adds and removes watches and timeouts from another.
 *
 *     worker-calls URI CALLS
 *
 * Ends with status 0 when every call has succeeded, every event has come, and the loop has closed with nothing left on
 * it. ThreadSanitizer says the rest, in a tree that was built with it. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <uv.h>
#include <virt-uv/virt-uv.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void fail(const char *what, const char *why) {
  std::fprintf(stderr, "worker-calls: %s: %s\n", what, why);
  std::_Exit(1);
}

/* A libvirt call that must succeed. */
void must(int result, const char *what) {
  if (result < 0) fail(what, virGetLastErrorMessage());
}

void must_uv(int result, const char *what) {
  if (result < 0) fail(what, uv_strerror(result));
}

virConnectPtr open_connection(const char *uri) {
  virConnectPtr connection = virConnectOpen(uri);
  if (connection == nullptr) fail(uri, virGetLastErrorMessage());
  must(virConnectSetKeepAlive(connection, 1, 5), "keepalive");
  return connection;
}

class Calls {
 public:
  Calls(const char *uri, int calls) : uri_(uri), calls_(calls) {}

  /* On the loop's thread. */
  void start(uv_loop_t *loop) {
    must_uv(uv_async_init(loop, &all_done_, [](uv_async_t *async) { static_cast<Calls *>(async->data)->finish(); }),
            "uv_async_init");
    all_done_.data = this;
    /* Opening waits for the host, whose answer comes without the loop's help. */
    connection_ = open_connection(uri_);
    domain_ = virDomainLookupByName(connection_, "test");
    if (domain_ == nullptr) fail("the domain", virGetLastErrorMessage());
    callback_ = virConnectDomainEventRegisterAny(
        connection_, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        reinterpret_cast<virConnectDomainEventGenericCallback>(reinterpret_cast<void (*)()>(on_lifecycle)), this,
        nullptr);
    must(callback_, "registering for events");
    for (auto work :
         {&Calls::ask_for_version, &Calls::ask_for_domains, &Calls::suspend_and_resume, &Calls::open_others})
      workers_.emplace_back([this, work] {
        (this->*work)();
        if (++ended_ == kWorkers) uv_async_send(&all_done_);
      });
  }

  int events() const { return events_; }
  int expected_events() const { return 2 * calls_; }

 private:
  static constexpr int kWorkers = 4;
  static constexpr int kCallsForEachOpening = 50;

  /* Not the host's name, for which libvirtd asks the resolver. */
  void ask_for_version() {
    for (int i = 0; i < calls_; i++) {
      unsigned long version;
      must(virConnectGetLibVersion(connection_, &version), "virConnectGetLibVersion");
    }
  }

  void ask_for_domains() {
    for (int i = 0; i < calls_; i++) {
      virDomainInfo info;
      must(virDomainGetInfo(domain_, &info), "virDomainGetInfo");
    }
  }

  void suspend_and_resume() {
    for (int i = 0; i < calls_; i++) {
      must(virDomainSuspend(domain_), "virDomainSuspend");
      must(virDomainResume(domain_), "virDomainResume");
    }
  }

  void open_others() {
    for (int i = 0; i < calls_ / kCallsForEachOpening; i++) {
      virConnectPtr other = open_connection(uri_);
      must(virConnectNumOfDomains(other), "virConnectNumOfDomains");
      must(virConnectClose(other), "virConnectClose");
    }
  }

  static int on_lifecycle(virConnectPtr, virDomainPtr, int, int, void *opaque) {
    auto *self = static_cast<Calls *>(opaque);
    ++self->events_;
    self->finish();
    return 0;
  }

  /* Once no call is under way and the last event has come. */
  void finish() {
    if (ended_ < kWorkers || events_ < expected_events() || connection_ == nullptr) return;
    for (std::thread &worker : workers_) worker.join();
    must(virConnectDomainEventDeregisterAny(connection_, callback_), "deregistering");
    must(virDomainFree(domain_), "virDomainFree");
    must(virConnectClose(connection_), "virConnectClose");
    connection_ = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&all_done_), nullptr);
    must_uv(virt_uv_drain([](void *) { must_uv(virt_uv_detach(nullptr, nullptr), "virt_uv_detach"); }, nullptr),
            "virt_uv_drain");
  }

  const char *uri_;
  const int calls_;
  virConnectPtr connection_ = nullptr;
  virDomainPtr domain_ = nullptr;
  int callback_ = -1;
  int events_ = 0; /* the loop's thread's */
  std::atomic<int> ended_{0};
  uv_async_t all_done_;
  std::vector<std::thread> workers_;
};

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) fail("usage", "worker-calls URI CALLS");
  /* At the turn of a second a keepalive message may follow the call that closes a connection, which the daemon then has
   * closed already. */
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t loop;
  must_uv(uv_loop_init(&loop), "uv_loop_init");
  must_uv(virt_uv_attach(&loop, nullptr), "virt_uv_attach");
  Calls calls(argv[1], std::atoi(argv[2]));
  calls.start(&loop);
  uv_run(&loop, UV_RUN_DEFAULT);
  must_uv(uv_loop_close(&loop), "uv_loop_close");
  std::printf("events %d of %d\n", calls.events(), calls.expected_events());
  return calls.events() == calls.expected_events() ? 0 : 1;
}
