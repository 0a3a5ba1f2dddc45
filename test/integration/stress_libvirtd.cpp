// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Connections to a real libvirtd that come and go on several threads while the loop runs on another.
//
//     stress-libvirtd calls URI CONNECTIONS    connect, register, call, deregister, close: by the thread that opened
//                                              the connection, by another, and inside the event callback
//     stress-libvirtd killed URI ROUNDS        connections in the middle of calls lose their daemon
//     stress-libvirtd stopped URI ROUNDS       connections in the middle of calls have a daemon that answers no more
//
// In the last two, each round says "round N ready" when the daemon is to be taken away, and "round N lost" when it is
// to come back; then it waits for a line on stdin. All end with status 0 when each registration has been freed once and
// no event came after, each lost connection said so with the right reason, and the loop has closed with nothing left on
// it.
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <unistd.h>
#include <uv.h>
#include <virt-uv/virt-uv.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kWorkers = 4;
constexpr int kCallsForEachConnection = 5;
constexpr unsigned kLimitSeconds = 3600;  // the test's own limit is shorter; this one outlives no test by much

[[noreturn]] void fail(const std::string &what, const char *why) {
  std::fprintf(stderr, "stress-libvirtd: %s: %s\n", what.c_str(), why);
  std::_Exit(1);
}

void must(int result, const char *what) {
  if (result < 0) fail(what, virGetLastErrorMessage());
}

void must_uv(int result, const char *what) {
  if (result < 0) fail(what, uv_strerror(result));
}

// One connection with one registration. It outlives both.
struct Link {
  virConnectPtr connection = nullptr;
  std::atomic<int> registration{-1};
  std::atomic<bool> close_inside{false};  // the next event's callback is to close it
  std::atomic<int> events{0};             // whose callback has returned
  std::atomic<int> freed{0};
  std::atomic<int> lost{-1};  // the reason, once the connection is lost
};

class Links;

struct Subscription {
  Links *links;
  Link *link;
};

// An event that comes in while libvirt 9.0 closes the last reference to its connection brings libvirt to a standstill:
// it makes a domain of it, whose own reference to the connection closes that a second time, within the first (with any
// event loop). So an event is made only while nobody opens or closes, and each connection waited for to have had it.
class Links {
 public:
  // Opens, registers.
  Link &open(const char *uri, int keepalive_interval, unsigned keepalive_count) {
    const std::shared_lock<std::shared_mutex> lock(no_event_);
    Link *link = try_open(uri, keepalive_interval, keepalive_count);
    if (link == nullptr) fail(uri, virGetLastErrorMessage());
    return *link;
  }

  Link *try_open(const char *uri, int keepalive_interval, unsigned keepalive_count) {
    virConnectPtr connection = virConnectOpen(uri);
    if (connection == nullptr) return nullptr;
    Link &link = add(connection);
    if (virConnectSetKeepAlive(connection, keepalive_interval, keepalive_count) < 0 || !subscribe(link)) {
      virConnectClose(connection);
      return nullptr;
    }
    return &link;
  }

  // `lost`: the daemon is gone, and calls that have to ask it fail.
  void close(Link &link, bool lost = false) {
    const std::shared_lock<std::shared_mutex> lock(no_event_);
    const int done = virConnectDomainEventDeregisterAny(link.connection, link.registration.exchange(-1));
    if (!lost) must(done, "deregistering");
    must(virConnectClose(link.connection), "virConnectClose");
  }

  // Calls make(), which makes an event, and waits until every registration has had it.
  void make_event(const std::function<void()> &make) {
    const std::unique_lock<std::shared_mutex> nobody_opens_or_closes(no_event_);
    std::vector<std::pair<Link *, int>> waiting;
    std::unique_lock<std::mutex> lock(mutex_);
    for (const auto &link : links_)
      if (link->registration >= 0) waiting.emplace_back(link.get(), link->events);
    lock.unlock();
    make();
    lock.lock();
    for (auto [link, before] : waiting)
      changed_.wait(lock, [link = link, before = before] { return link->events > before; });
  }

  void close_inside(Link &link) {
    link.close_inside = true;
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&link] { return !link.close_inside; });
  }

  int registered() const { return registered_; }
  int freed() const { return freed_; }
  int events() const { return events_; }
  int closed_inside() const { return closed_inside_; }

 private:
  Link &add(virConnectPtr connection) {
    std::lock_guard<std::mutex> lock(mutex_);
    links_.push_back(std::make_unique<Link>());
    links_.back()->connection = connection;
    return *links_.back();
  }

  bool subscribe(Link &link) {
    auto subscription = std::make_unique<Subscription>(Subscription{this, &link});
    const int registration = virConnectDomainEventRegisterAny(
        link.connection, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        reinterpret_cast<virConnectDomainEventGenericCallback>(reinterpret_cast<void (*)()>(on_event)),
        subscription.get(), on_free);
    if (registration < 0) return false;
    subscription.release();  // on_free's from now on
    ++registered_;
    link.registration = registration;
    return true;
  }

  static int on_event(virConnectPtr connection, virDomainPtr, int, int, void *opaque) {
    auto [links, link] = *static_cast<Subscription *>(opaque);
    if (link->freed != 0) fail("event", "it came after its registration had been freed");
    ++links->events_;
    if (link->close_inside) {
      must(virConnectDomainEventDeregisterAny(connection, link->registration.exchange(-1)), "deregistering inside");
      must(virConnectClose(connection), "virConnectClose inside");
      ++links->closed_inside_;
    }
    const std::lock_guard<std::mutex> lock(links->mutex_);
    link->close_inside = false;
    ++link->events;
    links->changed_.notify_all();
    return 0;
  }

  static void on_free(void *opaque) {
    const std::unique_ptr<Subscription> subscription(static_cast<Subscription *>(opaque));
    if (++subscription->link->freed != 1) fail("free", "a registration was freed twice");
    ++subscription->links->freed_;
  }

  std::shared_mutex no_event_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Link>> links_;  // guarded by mutex_
  std::atomic<int> registered_{0}, freed_{0}, events_{0}, closed_inside_{0};
};

// The loop on this thread, and threads beside it; ends once they have ended and all is freed.
class Stage {
 public:
  void run(std::vector<std::function<void()>> parts) {
    must_uv(uv_loop_init(&loop_), "uv_loop_init");
    must_uv(virt_uv_attach(&loop_, nullptr), "virt_uv_attach");
    must_uv(uv_async_init(&loop_, &ended_, on_ended), "uv_async_init");
    ended_.data = this;
    left_ = static_cast<int>(parts.size());
    for (auto &part : parts)
      threads_.emplace_back([this, part] {
        part();
        if (--left_ == 0) uv_async_send(&ended_);
      });
    uv_run(&loop_, UV_RUN_DEFAULT);
    must_uv(uv_loop_close(&loop_), "uv_loop_close");
    virt_uv_stats stats = VIRT_UV_STATS_INIT;
    must_uv(virt_uv_get_stats(&stats), "virt_uv_get_stats");
    if (stats.watches + stats.timeouts + stats.frees_pending != 0) fail("the end", "something is registered still");
  }

 private:
  static void on_ended(uv_async_t *async) {
    auto *self = static_cast<Stage *>(async->data);
    for (std::thread &thread : self->threads_) thread.join();
    uv_close(reinterpret_cast<uv_handle_t *>(async), nullptr);
    must_uv(virt_uv_drain([](void *) { must_uv(virt_uv_detach(nullptr, nullptr), "virt_uv_detach"); }, nullptr),
            "virt_uv_drain");
  }

  uv_loop_t loop_;
  uv_async_t ended_;
  std::atomic<int> left_{0};
  std::vector<std::thread> threads_;
};

// Nothing that asks the resolver, as virConnectGetHostname does.
void call(virConnectPtr connection, const char *what = "a call") {
  unsigned long version;
  must(virConnectGetLibVersion(connection, &version), what);
  must(virConnectNumOfDomains(connection), what);
}

// --- calls ---

class Calls {
 public:
  Calls(const char *uri, int connections) : uri_(uri), connections_(connections) {}

  void run() {
    std::vector<std::function<void()>> parts(kWorkers, [this] { work(); });
    parts.emplace_back([this] { make_events(); });
    Stage().run(parts);
    std::printf("%d connections, %d closed inside, %d events\n", links_.registered(), links_.closed_inside(),
                links_.events());
    if (links_.freed() != connections_ || links_.closed_inside() != connections_ / 3)
      fail("calls", "a registration was not freed, or not closed inside");
  }

 private:
  void work() {
    int number;
    while ((number = next_++) < connections_) {
      Link &link = links_.open(uri_, 5, 5);
      for (int i = 0; i < kCallsForEachConnection; ++i) call(link.connection);
      if (number % 3 == 0) links_.close(link);
      if (number % 3 == 1) hand_over(link);
      if (number % 3 == 2) links_.close_inside(link);
    }
    ++ended_;
  }

  // Another thread closes it, or this one what another has handed over before.
  void hand_over(Link &link) {
    Link *other = handed_over_.exchange(&link);
    if (other != nullptr) links_.close(*other);
  }

  // For as long as one waits to be closed inside a callback.
  void make_events() {
    virConnectPtr connection = virConnectOpen(uri_);
    if (connection == nullptr) fail(uri_, virGetLastErrorMessage());
    virDomainPtr domain = virDomainLookupByName(connection, "test");
    if (domain == nullptr) fail("the domain", virGetLastErrorMessage());
    while (ended_ < kWorkers) {
      links_.make_event([domain] { must(virDomainSuspend(domain), "virDomainSuspend"); });
      links_.make_event([domain] { must(virDomainResume(domain), "virDomainResume"); });
    }
    if (Link *last = handed_over_.exchange(nullptr)) links_.close(*last);
    must(virDomainFree(domain), "virDomainFree");
    must(virConnectClose(connection), "virConnectClose");
  }

  const char *uri_;
  const int connections_;
  Links links_;
  std::atomic<int> next_{0}, ended_{0};
  std::atomic<Link *> handed_over_{nullptr};
};

// --- killed, stopped ---

class Losses {
 public:
  struct Kind {
    int keepalive_interval;
    unsigned keepalive_count;
    std::function<bool(int reason)> is_right;
    bool opens_go_on;  // while the daemon goes away
  };

  Losses(const char *uri, int rounds, Kind kind) : uri_(uri), rounds_(rounds), kind_(std::move(kind)) {}

  void run() {
    std::vector<std::function<void()>> parts(kWorkers, [this] { work(); });
    if (kind_.opens_go_on) parts.emplace_back([this] { open_others(); });
    parties_ = static_cast<int>(parts.size());
    Stage().run(parts);
    if (links_.freed() != links_.registered()) fail("losses", "a registration was not freed");
    std::printf("%d connections lost, %d opened meanwhile\n", lost_.load(), links_.registered() - lost_);
  }

 private:
  void work() {
    for (int round = 1; round <= rounds_; ++round) {
      Link &link = links_.open(uri_, kind_.keepalive_interval, kind_.keepalive_count);
      must(virConnectRegisterCloseCallback(link.connection, on_lost, &link, nullptr), "the close callback");
      call(link.connection);
      if (everybody_is_here()) say_ready(round);
      while (virConnectNumOfDomains(link.connection) >= 0) {
      }
      // A call may fail before the loop has heard of it; the callback is the loop's word.
      wait_until_lost(link);
      if (!kind_.is_right(link.lost)) fail("lost with reason", std::to_string(link.lost).c_str());
      ++lost_;
      virConnectUnregisterCloseCallback(link.connection, on_lost);
      links_.close(link, true);
      if (everybody_is_here()) say_lost_and_wait(round);
      everybody_is_here();
    }
  }

  void open_others() {
    for (int round = 1; round <= rounds_; ++round) {
      links_.close(links_.open(uri_, kind_.keepalive_interval, kind_.keepalive_count));
      if (everybody_is_here()) say_ready(round);
      while (Link *link = links_.try_open(uri_, kind_.keepalive_interval, kind_.keepalive_count))
        links_.close(*link, true);
      if (everybody_is_here()) say_lost_and_wait(round);
      everybody_is_here();
    }
  }

  static void on_lost(virConnectPtr, int reason, void *opaque) {
    auto *link = static_cast<Link *>(opaque);
    link->lost = reason;
    std::lock_guard<std::mutex> lock(mutex());
    changed().notify_all();
  }

  static void wait_until_lost(Link &link) {
    std::unique_lock<std::mutex> lock(mutex());
    changed().wait(lock, [&] { return link.lost >= 0; });
  }

  // A barrier; true for the last to come.
  bool everybody_is_here() {
    std::unique_lock<std::mutex> lock(mutex());
    if (++arrived_ == parties_) {
      arrived_ = 0;
      ++gathering_;
      changed().notify_all();
      return true;
    }
    changed().wait(lock, [this, now = gathering_] { return gathering_ != now; });
    return false;
  }

  static void say_ready(int round) {
    std::printf("round %d ready\n", round);
    std::fflush(stdout);
  }

  static void say_lost_and_wait(int round) {
    std::printf("round %d lost\n", round);
    std::fflush(stdout);
    char line[16];
    if (std::fgets(line, sizeof line, stdin) == nullptr) fail("stdin", "it ended before the daemon came back");
  }

  static std::mutex &mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::condition_variable &changed() {
    static std::condition_variable changed;
    return changed;
  }

  const char *uri_;
  const int rounds_;
  const Kind kind_;
  Links links_;
  int parties_ = 0, arrived_ = 0, gathering_ = 0;  // guarded by mutex()
  std::atomic<int> lost_{0};
};

bool is_end_of_connection(int reason) {
  return reason == VIR_CONNECT_CLOSE_REASON_EOF || reason == VIR_CONNECT_CLOSE_REASON_ERROR;
}

bool is_keepalive(int reason) { return reason == VIR_CONNECT_CLOSE_REASON_KEEPALIVE; }

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) fail("usage", "stress-libvirtd calls|killed|stopped URI COUNT");
  alarm(kLimitSeconds);
  std::signal(SIGPIPE, SIG_IGN);  // libvirt writes to a daemon that is gone, and leaves this to the program
  virSetErrorFunc(nullptr, [](void *, virErrorPtr) {});  // a lost daemon is no news
  const std::string what = argv[1];
  const int count = std::atoi(argv[3]);
  if (what == "calls")
    Calls(argv[2], count).run();
  else if (what == "killed")
    Losses(argv[2], count, {60, 5, is_end_of_connection, true}).run();
  else if (what == "stopped")
    Losses(argv[2], count, {1, 1, is_keepalive, false}).run();
  else
    fail("usage", "calls, killed or stopped");
  return 0;
}
