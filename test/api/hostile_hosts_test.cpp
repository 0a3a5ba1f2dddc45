// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What hosts do to a loop that is theirs: they walk its handles, close some that are not their own, call from a log
// function, and from the wrong thread.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "child.hpp"
#include "host.hpp"
#include "pipes.hpp"
#include "self.hpp"

namespace {

void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void count_event(int, int, int, void *opaque) { count(opaque); }
void no_event(int, int, int, void *) {}
void no_timeout(int, void *) {}

std::vector<uv_handle_t *> handles_of(Loop &loop) {
  std::vector<uv_handle_t *> all;
  uv_walk(
      loop.get(),
      [](uv_handle_t *handle, void *opaque) { static_cast<std::vector<uv_handle_t *> *>(opaque)->push_back(handle); },
      &all);
  return all;
}

// UV_UNKNOWN_HANDLE: of every type. All except those with data, which are the test's own.
void close_handles(Loop &loop, uv_handle_type type) {
  for (uv_handle_t *handle : handles_of(loop)) {
    const bool is_meant = type == UV_UNKNOWN_HANDLE || uv_handle_get_type(handle) == type;
    if (is_meant && handle->data == nullptr && uv_is_closing(handle) == 0) uv_close(handle, nullptr);
  }
}

// Each of the library's calls out of the loop, once.
enum class Place { kTimeout, kWatch, kAlwaysReady, kZeroTimeout, kFree, kIdle, kWalk };
constexpr Place kPlaces[] = {Place::kTimeout, Place::kWatch, Place::kAlwaysReady, Place::kZeroTimeout,
                             Place::kFree,    Place::kIdle,  Place::kWalk};
constexpr const char *kPlaceNames[] = {
    "a timeout's callback", "a watch's callback", "an always-ready fd's callback", "a 0 timeout's callback", "an ff",
    "a drain's callback",   "a walk's callback"};

struct Act {
  std::function<void()> run;
  bool done = false;

  void once() {
    if (std::exchange(done, true)) return;
    run();
  }
  static void call(void *opaque) { static_cast<Act *>(opaque)->once(); }
  static void timeout(int, void *opaque) { call(opaque); }
  static void event(int, int, int, void *opaque) { call(opaque); }
};

// Leads to one call of `act` in that place; the ids are removed by the caller.
class Leading {
 public:
  Leading(Place place, Act &act) {
    signal_.make_readable();
    if (place == Place::kTimeout) timers_.push_back(virt_uv_add_timeout(1, Act::timeout, &act, nullptr));
    if (place == Place::kZeroTimeout) timers_.push_back(virt_uv_add_timeout(0, Act::timeout, &act, nullptr));
    if (place == Place::kWatch) watches_.push_back(virt_uv_add_handle(signal_.get(), 1, Act::event, &act, nullptr));
    if (place == Place::kAlwaysReady) watches_.push_back(virt_uv_add_handle(null_.get(), 1, Act::event, &act, nullptr));
    if (place == Place::kFree) virt_uv_remove_timeout(virt_uv_add_timeout(-1, no_timeout, &act, Act::call));
    if (place == Place::kIdle) REQUIRE(virt_uv_drain(Act::call, &act) == 0);
    if (place == Place::kWalk) virt_uv_walk([](const virt_uv_entry *, void *opaque) { Act::call(opaque); }, &act);
  }
  void remove() {
    for (const int id : timers_) CHECK(virt_uv_remove_timeout(id) == 0);
    for (const int id : watches_) CHECK(virt_uv_remove_handle(id) == 0);
  }

 private:
  Signal signal_;
  Fd null_{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  std::vector<int> timers_, watches_;
};

constexpr char kGivenUp[] = "the host has closed";

// In `place`: a watch is updated, the handles of that type are closed. The drain's place needs nothing registered.
void close_in_a_callback(Place place, uv_handle_type type) {
  INFO("in " << kPlaceNames[static_cast<int>(place)]
             << ", handles closed: " << (type == UV_UNKNOWN_HANDLE ? "all" : uv_handle_type_name(type)));
  Host host;
  REQUIRE(drain(host.loop));
  Signal signal;
  signal.make_readable();
  int events = 0, ticks = 0, watch = -1, timer = -1;
  const auto add = [&] {
    watch = virt_uv_add_handle(signal.get(), 0, count_event, &events, nullptr);
    timer = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
  };
  Act act;
  act.run = [&] {
    if (watch < 0) add();
    virt_uv_update_handle(watch, VIR_EVENT_HANDLE_READABLE);
    close_handles(host.loop, type);
  };
  if (place != Place::kIdle) add();
  Leading leading(place, act);
  REQUIRE(host.loop.run_until([&] { return act.done; }));
  host.loop.run_iterations(1);
  CHECK(virt_uv_loop() == nullptr);

  // All that was registered goes on.
  const virt_uv_options options = logging_to(host.lines);
  events = ticks = 0;
  REQUIRE(virt_uv_attach(host.loop.get(), &options) == 0);
  CHECK(host.loop.run_until([&] { return events > 0 && ticks > 0; }));
  // By the next call at the latest: where all are closed, nothing of ours runs in the loop any more.
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, kGivenUp) == 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "") == 1);
  leading.remove();
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

// Each lets one line at level error be logged.
std::vector<std::function<void()>> causes_of_a_line() {
  return {[] { virt_uv_report_exception("outside of every callback"); },
          [] {
            virt_uv_add_timeout(
                1,
                [](int id, void *) {
                  virt_uv_remove_timeout(id);
                  throw std::runtime_error("in a callback");
                },
                nullptr, nullptr);
          },
          [] {
            virt_uv_remove_timeout(
                virt_uv_add_timeout(-1, no_timeout, nullptr, [](void *) { throw std::runtime_error("in an ff"); }));
          }};
}

}  // namespace

// --- Walks over the loop's handles ---

TEST_CASE("no handle of the library ever has data, so a host that closes those with data leaves them alone") {
  Host host;
  Signal signal;
  SocketPair pair;
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int events = 0;
  signal.make_readable();
  const int ids[] = {virt_uv_add_handle(signal.get(), 1, count_event, &events, nullptr),
                     virt_uv_add_handle(pair.ours.get(), 1, no_event, nullptr, nullptr),
                     virt_uv_add_handle(null.get(), 1, no_event, nullptr, nullptr)};
  const int timer = virt_uv_add_timeout(0, no_timeout, nullptr, nullptr);
  const auto number_with_data = [&] {
    int with_data = 0;
    for (const uv_handle_t *handle : handles_of(host.loop)) with_data += handle->data != nullptr ? 1 : 0;
    return with_data;
  };
  CHECK(handles_of(host.loop).size() >= 5);
  CHECK(number_with_data() == 0);
  host.loop.run_iterations(3);
  CHECK(handles_of(host.loop).size() >= 7);
  CHECK(number_with_data() == 0);
  for (const int events_wanted : {0, 3, 1}) {
    virt_uv_update_handle(ids[0], events_wanted);
    host.loop.run_iterations(1);
    CHECK(number_with_data() == 0);
  }
  for (uv_handle_t *handle : handles_of(host.loop))
    if (handle->data != nullptr) uv_close(handle, nullptr);
  events = 0;
  CHECK(host.loop.run_until([&] { return events > 1; }));
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  host.loop.run_iterations(1);
  CHECK(number_with_data() == 0);
  REQUIRE(virt_uv_detach(nullptr, nullptr) == 0);
  CHECK(number_with_data() == 0);                                                 // those that are closing as well
  CHECK(host.loop.run_until([&] { return handles_of(host.loop).size() <= 1; }));  // the wait's own timer is left
}

TEST_CASE("a host may close every handle inside any callback, after an update, and all goes on at the next attach") {
  for (const Place place : kPlaces) close_in_a_callback(place, UV_UNKNOWN_HANDLE);
}

TEST_CASE("a host may close every handle inside done, and again after done has attached, and all goes on") {
  struct Done {
    Loop loop;
    Lines lines;
    bool attaches = false, came = false;
    static void call(void *opaque) {
      Done &self = *static_cast<Done *>(opaque);
      self.came = true;
      close_handles(self.loop, UV_UNKNOWN_HANDLE);
      if (self.attaches) CHECK(self.attach() == 0);
      close_handles(self.loop, UV_UNKNOWN_HANDLE);
    }
    int attach() {
      const virt_uv_options options = logging_to(lines);
      return virt_uv_attach(loop.get(), &options);
    }
  };
  for (const bool attaches : {false, true}) {
    INFO((attaches ? "attaches" : "does not attach"));
    Done done;
    done.attaches = attaches;
    Signal signal;
    signal.make_readable();
    int events = 0, ticks = 0;
    const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
    const int timer = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
    REQUIRE(done.attach() == 0);
    REQUIRE(done.loop.run_until([&] { return events > 0 && ticks > 0; }));
    REQUIRE(virt_uv_detach(Done::call, &done) == 0);
    REQUIRE(done.loop.run_until([&] { return done.came; }));
    done.loop.run_iterations(2);
    CHECK(virt_uv_loop() == nullptr);
    events = ticks = 0;
    REQUIRE(done.attach() == 0);
    CHECK(done.lines.count(VIRT_UV_LOG_ERROR, kGivenUp) == (attaches ? 1 : 0));
    CHECK(done.lines.count(VIRT_UV_LOG_ERROR, "") == (attaches ? 1 : 0));
    CHECK(done.loop.run_until([&] { return events > 0 && ticks > 0; }));
    CHECK(virt_uv_remove_handle(watch) == 0);
    CHECK(virt_uv_remove_timeout(timer) == 0);
    CHECK(drain(done.loop));
    CHECK(detach(done.loop));
  }
}

TEST_CASE("a host may close every handle inside the log function, and all goes on at the next attach") {
  struct Closing {
    Loop loop;
    Lines lines;
    bool closed = false;
    static void log(virt_uv_log_level level, const char *message, void *opaque) {
      Closing &self = *static_cast<Closing *>(opaque);
      Lines::take(level, message, &self.lines);
      if (level == VIRT_UV_LOG_ERROR && !std::exchange(self.closed, true)) close_handles(self.loop, UV_UNKNOWN_HANDLE);
    }
    int attach() {
      virt_uv_options options = VIRT_UV_OPTIONS_INIT;
      options.log = log;
      options.log_opaque = this;
      return virt_uv_attach(loop.get(), &options);
    }
  };
  const std::vector<std::function<void()>> causes = causes_of_a_line();
  for (const auto &cause : causes) {
    Closing closing;
    int ticks = 0;
    const int timer = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
    REQUIRE(closing.attach() == 0);
    cause();
    REQUIRE(closing.loop.run_until([&] { return closing.closed; }));
    closing.loop.run_iterations(1);
    CHECK(virt_uv_loop() == nullptr);
    REQUIRE(closing.attach() == 0);
    CHECK(closing.lines.count(VIRT_UV_LOG_ERROR, kGivenUp) == 1);
    ticks = 0;
    CHECK(closing.loop.run_until([&] { return ticks > 0; }));
    CHECK(virt_uv_remove_timeout(timer) == 0);
    CHECK(drain(closing.loop));
    CHECK(detach(closing.loop));
  }
}

TEST_CASE("a close that has begun when the host closes every handle frees the slot of its watch once") {
  struct Closing {
    Host host;
    int watch = -1, attached = 1;
    // Before prepare: so the new attachment frees the watch in this iteration, whose closes come after that.
    static void timeout(int id, void *opaque) {
      Closing &self = *static_cast<Closing *>(opaque);
      virt_uv_remove_timeout(id);
      virt_uv_remove_handle(self.watch);
      close_handles(self.host.loop, UV_UNKNOWN_HANDLE);
      const virt_uv_options options = logging_to(self.host.lines);
      self.attached = virt_uv_attach(self.host.loop.get(), &options);
    }
  } closing;
  Loop &loop = closing.host.loop;
  Signal signal;
  signal.make_readable();
  int calls[4] = {};
  closing.watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &calls[0], nullptr);
  REQUIRE(loop.run_until([&] { return calls[0] > 0; }));
  virt_uv_add_timeout(0, Closing::timeout, &closing, nullptr);
  REQUIRE(loop.run_until([&] { return closing.attached == 0; }));
  loop.run_iterations(3);
  CHECK(closing.host.lines.count(VIRT_UV_LOG_ERROR, kGivenUp) == 1);

  // A slot that was freed twice would be given to two watches.
  int ids[3] = {};
  for (int i = 0; i < 3; ++i)
    ids[i] = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &calls[i + 1], nullptr);
  CHECK(loop.run_until([&] { return calls[1] > 0 && calls[2] > 0 && calls[3] > 0; }));
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(loop));
}

TEST_CASE("a host that closes handles of one type only is noticed as well") {
  for (const Place place : kPlaces)
    for (const uv_handle_type type : {UV_POLL, UV_TIMER, UV_PREPARE, UV_CHECK, UV_IDLE})
      close_in_a_callback(place, type);
}

TEST_CASE("a host that closes handles of one type between two iterations is noticed in the next") {
  for (const uv_handle_type type : {UV_POLL, UV_TIMER, UV_PREPARE, UV_CHECK, UV_IDLE}) {
    INFO(uv_handle_type_name(type));
    Host host;
    Signal signal;
    signal.make_readable();
    int events = 0, ticks = 0;
    const int watch = virt_uv_add_handle(signal.get(), 1, count_event, &events, nullptr);
    const int timer = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
    host.loop.run_iterations(3);
    close_handles(host.loop, type);
    CHECK(host.loop.run_until([&] { return virt_uv_loop() == nullptr; }));
    CHECK(host.lines.count(VIRT_UV_LOG_ERROR, kGivenUp) == 1);
    const virt_uv_options options = logging_to(host.lines);
    events = ticks = 0;
    REQUIRE(virt_uv_attach(host.loop.get(), &options) == 0);
    CHECK(host.loop.run_until([&] { return events > 0 && ticks > 0; }));
    CHECK(virt_uv_remove_handle(watch) == 0);
    CHECK(virt_uv_remove_timeout(timer) == 0);
    CHECK(drain(host.loop));
  }
}

// --- Log functions ---

TEST_CASE("a logger is not called any more once detach has returned UV_ECONNABORTED") {
  Lines lines;
  Loop loop;
  const virt_uv_options options = logging_to(lines);
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
  close_handles(loop, UV_UNKNOWN_HANDLE);
  REQUIRE(virt_uv_detach(nullptr, nullptr) == UV_ECONNABORTED);
  REQUIRE(lines.count(VIRT_UV_LOG_ERROR, "") > 0);
  lines.clear();
  CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);
  virt_uv_report_exception("after the end");
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "") == 0);
  loop.run_iterations(3);
}

TEST_CASE("a refused attach leaves the options that are in force") {
  Host winner;
  Loop other;
  Lines losers;
  const virt_uv_options options = logging_to(losers);
  REQUIRE(virt_uv_attach(other.get(), &options) == UV_EBUSY);
  CHECK(losers.count(VIRT_UV_LOG_ERROR, "another loop is attached") == 1);
  losers.clear();
  winner.lines.clear();
  CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);
  CHECK(winner.lines.count(VIRT_UV_LOG_ERROR, "") == 1);
  CHECK(losers.count(VIRT_UV_LOG_ERROR, "") == 0);
}

TEST_CASE("the log function may detach, and done comes") {
  struct Detacher {
    int result = 1;
    bool done = false;
    static void log(virt_uv_log_level level, const char *, void *opaque) {
      Detacher &self = *static_cast<Detacher *>(opaque);
      if (level != VIRT_UV_LOG_ERROR || self.result != 1) return;
      self.result = virt_uv_detach([](void *own) { static_cast<Detacher *>(own)->done = true; }, &self);
    }
  };
  std::vector<std::function<void()>> causes = causes_of_a_line();
  causes.push_back([] { virt_uv_drain([](void *) { throw std::runtime_error("in a drain's callback"); }, nullptr); });
  for (const auto &cause : causes) {
    Loop loop;
    Detacher detacher;
    virt_uv_options options = VIRT_UV_OPTIONS_INIT;
    options.log = Detacher::log;
    options.log_opaque = &detacher;
    REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
    cause();
    CHECK(loop.run_until([&] { return detacher.done; }));
    CHECK(detacher.result == 0);
    CHECK(handles_of(loop).empty());
  }
}

// --- Threads ---

TEST_CASE("a registration by a thread that is not the loop's leaves libuv's counts alone while no loop runs") {
  // Where the kernel of the C library reuses a pthread_t, the second thread has that of the first.
  for (int i = 0; i < 20; ++i) {
    Host host;
    pthread_t first{}, second{};
    bool drained = false;  // so that no more iterations come, which would make another thread the loop's
    std::thread runner([&] {
      first = pthread_self();
      drained = drain(host.loop);
    });
    runner.join();
    REQUIRE(drained);
    Signal signal;
    const unsigned before = host.loop.get()->active_handles;
    unsigned meanwhile = 0;
    std::thread adder([&] {
      second = pthread_self();
      const int watch = virt_uv_add_handle(signal.get(), 1, no_event, nullptr, nullptr);
      const int timer = virt_uv_add_timeout(-1, no_timeout, nullptr, nullptr);
      meanwhile = host.loop.get()->active_handles;
      virt_uv_remove_handle(watch);
      virt_uv_remove_timeout(timer);
    });
    adder.join();
    CHECK(pthread_equal(first, second) != 0);
    CHECK(meanwhile == before);
    CHECK(host.loop.get()->active_handles == before);
    REQUIRE(drain(host.loop));
    CHECK(uv_loop_alive(host.loop.get()) == 0);
    CHECK(host.loop.get()->active_handles == 0);
    CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) == 0);
  }
}

TEST_CASE("a registration by the thread of the loop before leaves alone the counts of one that another has attached") {
  { Host before; }  // this thread ran it last
  virt_uv_unref();
  Loop loop;
  int error = 1;
  std::thread([&] { error = virt_uv_attach(loop.get(), nullptr); }).join();
  REQUIRE(error == 0);
  const unsigned handles = loop.get()->active_handles;
  const int timer = virt_uv_add_timeout(-1, no_timeout, nullptr, nullptr);
  CHECK(loop.get()->active_handles == handles);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  virt_uv_ref();
  CHECK(detach(loop));
}

TEST_CASE("calls for the loop's thread are refused on another while the loop is in a callback, with a line") {
  Host host;
  int results[4] = {};
  Act act;
  act.run = [&] {
    std::thread([&] {
      results[0] = virt_uv_attach(host.loop.get(), nullptr);
      Loop other;
      results[1] = virt_uv_attach(other.get(), nullptr);
      results[2] = virt_uv_detach(nullptr, nullptr);
      results[3] = virt_uv_drain(count, nullptr);
    }).join();
  };
  Leading leading(Place::kTimeout, act);
  REQUIRE(host.loop.run_until([&] { return act.done; }));
  for (const int result : results) CHECK(result == UV_EPERM);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "virt_uv_attach: another thread") >= 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "virt_uv_detach: another thread") == 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "virt_uv_drain: another thread") == 1);
  CHECK(virt_uv_loop() == host.loop.get());
  leading.remove();
  CHECK(drain(host.loop));
}

// --- Watches ---

TEST_CASE("a deferred watch is freed within a few iterations of its removal, and called so after an update") {
  constexpr int kIterations = 4;
  for (const bool removes : {true, false}) {
    Host host;
    TcpPair tcp;
    int calls = 0, freed = 0;
    struct Both {
      int *calls, *freed;
    } both{&calls, &freed};
    const int id = virt_uv_add_handle(
        tcp.ours.get(), VIR_EVENT_HANDLE_ERROR,
        [](int, int, int, void *opaque) { count(static_cast<Both *>(opaque)->calls); }, &both,
        [](void *opaque) { count(static_cast<Both *>(opaque)->freed); });
    const std::uint64_t before = stats().inspections;
    REQUIRE(send(tcp.peer.get(), "!", 1, MSG_OOB) == 1);
    REQUIRE(host.loop.run_until([&] { return stats().inspections > before; }));
    REQUIRE(calls == 0);
    if (removes)
      REQUIRE(virt_uv_remove_handle(id) == 0);
    else
      virt_uv_update_handle(id, VIR_EVENT_HANDLE_WRITABLE);
    host.loop.run_iterations(kIterations);
    CHECK((removes ? freed : calls) > 0);
    if (!removes) CHECK(virt_uv_remove_handle(id) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("watching a regular file leaves a POSIX record lock on it held") {
  Host host;
  char path[] = "/tmp/virt-uv-lock-XXXXXX";
  Fd file(mkostemp(path, O_CLOEXEC));
  REQUIRE(unlink(path) == 0);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  REQUIRE(fcntl(file.get(), F_SETLK, &lock) == 0);
  const auto is_held = [&] {
    const int status = status_of(fork_child([&] {
      struct flock asked = lock;
      return fcntl(file.get(), F_GETLK, &asked) == 0 && asked.l_type == F_WRLCK ? 1 : 0;
    }));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  REQUIRE(is_held() == 1);
  int events = 0;
  const int watch = virt_uv_add_handle(file.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
  REQUIRE(host.loop.run_until([&] { return events > 0; }));
  CHECK(is_held() == 1);
  CHECK(virt_uv_remove_handle(watch) == 0);
  REQUIRE(drain(host.loop));
  CHECK(is_held() == 1);
}

// --- Lines ---

TEST_CASE("a drain that waits says so once, and names the watch whose fd was closed under it") {
  Host host;
  Signal signal;
  const int closed_fd = eventfd(0, EFD_CLOEXEC), other_fd = eventfd(0, EFD_CLOEXEC);
  const int watch = virt_uv_add_handle(signal.get(), 0, no_event, nullptr, nullptr);
  const int abandoned = virt_uv_add_handle(closed_fd, 0, no_event, nullptr, nullptr);
  const int other = virt_uv_add_handle(other_fd, 0, no_event, nullptr, nullptr);
  REQUIRE(close(closed_fd) == 0);
  REQUIRE(close(other_fd) == 0);
  int idle = 0;
  REQUIRE(virt_uv_drain(count, &idle) == 0);
  CHECK(host.loop.run_until([&] { return host.lines.count(VIRT_UV_LOG_WARN, "a drain has waited") > 0; }));
  host.loop.run_iterations(5);
  CHECK(host.lines.count(VIRT_UV_LOG_WARN, "a drain has waited") == 1);
  const std::string named = "watches: 3 (watch " + std::to_string(abandoned) + " of fd " + std::to_string(closed_fd) +
                            ", which was closed without virEventRemoveHandle), timeouts: 0";
  CHECK(host.lines.count(VIRT_UV_LOG_WARN, named) == 1);
  CHECK(idle == 0);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_handle(abandoned) == 0);
  CHECK(virt_uv_remove_handle(other) == 0);
  CHECK(host.loop.run_until([&] { return idle == 1; }));
}

TEST_CASE("a drain that waits for timeouts alone says how many there are, and names no watch") {
  Host host;
  const int timer = virt_uv_add_timeout(
      -1, [](int, void *) {}, nullptr, nullptr);
  int idle = 0;
  REQUIRE(virt_uv_drain(count, &idle) == 0);
  CHECK(host.loop.run_until([&] { return host.lines.count(VIRT_UV_LOG_WARN, "a drain has waited") > 0; }));
  CHECK(host.lines.count(VIRT_UV_LOG_WARN, "watches: 0, timeouts: 1;") == 1);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(host.loop.run_until([&] { return idle == 1; }));
}

TEST_CASE("a detach and a drain with nothing attached are refused with a line each", "[.lines]") {
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_ENOTCONN);
  CHECK(virt_uv_drain(count, nullptr) == UV_ENOTCONN);
}

TEST_CASE("with nothing attached, the lines of detach and drain say so") {
  const Outcome outcome = run_self("a detach and a drain with nothing attached are refused with a line each", nullptr);
  CHECK(outcome.status == 0);
  for (const char *line : {"error: cannot detach: no loop is attached", "error: cannot drain: no loop is attached"})
    CHECK(outcome.stderr_text.find(line) != std::string::npos);
}

TEST_CASE("threads cause errors while the host attaches and detaches", "[.lines]") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      while (!stop) virt_uv_add_timeout(0, nullptr, nullptr, nullptr);
    });
  Lines lines;
  Loop loop;
  const virt_uv_options options = logging_to(lines);
  bool ok = true;
  for (int i = 0; i < 300 && ok; ++i) ok = virt_uv_attach(loop.get(), &options) == 0 && detach(loop);
  stop = true;
  for (std::thread &thread : threads) thread.join();
  REQUIRE(ok);
}

TEST_CASE("with VIRT_UV_LOG=none, no line reaches stderr while a logger comes and goes") {
  const Outcome outcome = run_self("threads cause errors while the host attaches and detaches", "none");
  CHECK(outcome.status == 0);
  CHECK(outcome.stderr_text.find("virt-uv:") == std::string::npos);
}

// --- Fds ---

namespace {

// What attach returns with so many fds free.
int attach_with_free_fds(Loop &loop, int number, const virt_uv_options *options = nullptr) {
  // UBSan reads memory through a pipe when it meets a type for the first time, and takes it for unreadable where it
  // gets no pipe. So an error is logged once before.
  virt_uv_add_timeout(0, nullptr, nullptr, nullptr);
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const Fd lowest_free(eventfd(0, EFD_CLOEXEC));
  std::vector<int> filling;
  const rlimit low{128, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  for (int fd; (fd = dup(lowest_free.get())) >= 0;) filling.push_back(fd);
  for (int i = 0; i < number; ++i) {
    close(filling.back());
    filling.pop_back();
  }
  const int result = virt_uv_attach(loop.get(), options);
  for (const int fd : filling) close(fd);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  return result;
}

// As virt-uv.h has it: while it tries out libuv, which with io_uring takes more, and for as long as it is attached.
constexpr int kFdsForTheMoment = 10;
constexpr int kFdsKept = 3;

}  // namespace

TEST_CASE("the first attach and each later one have just enough fds", "[.lines]") {
  Loop loop;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(attach_with_free_fds(loop, kFdsForTheMoment) == 0);
    REQUIRE(detach(loop));
  }
}

TEST_CASE("the first attach and each later one have one fd too few to keep", "[.lines]") {
  Loop loop;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(attach_with_free_fds(loop, kFdsKept - 1) == UV_EMFILE);
    REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
    REQUIRE(detach(loop));
  }
}

TEST_CASE(
    "attach works with as many free fds as the header says, and fails with UV_EMFILE where it cannot keep its own") {
  for (const char *each : {"the first attach and each later one have just enough fds",
                           "the first attach and each later one have one fd too few to keep"}) {
    const Outcome outcome = run_self(each, nullptr);
    INFO(outcome.stderr_text);
    CHECK(outcome.status == 0);
  }
}

TEST_CASE("an attach that finds no fd takes no options over, and one to the loop that is attached needs none") {
  Lines first, second;
  const virt_uv_options first_options = logging_to(first), second_options = logging_to(second);
  const auto cause_line = [] { CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1); };
  Loop loop;
  CHECK(attach_with_free_fds(loop, 0, &first_options) == UV_EMFILE);
  CHECK(first.count(VIRT_UV_LOG_ERROR, "cannot attach") == 1);
  first.clear();
  cause_line();
  CHECK(first.count(VIRT_UV_LOG_ERROR, "") == 0);

  REQUIRE(virt_uv_attach(loop.get(), &first_options) == 0);
  Loop other;
  CHECK(attach_with_free_fds(other, 0, &second_options) == UV_EBUSY);
  second.clear();
  cause_line();
  CHECK(first.count(VIRT_UV_LOG_ERROR, "the callback is NULL") == 2);  // one within attach_with_free_fds
  CHECK(second.count(VIRT_UV_LOG_ERROR, "") == 0);
  CHECK(attach_with_free_fds(loop, 0, &second_options) == 0);
  cause_line();
  CHECK(second.count(VIRT_UV_LOG_ERROR, "the callback is NULL") == 1);
  CHECK(detach(loop));
}
