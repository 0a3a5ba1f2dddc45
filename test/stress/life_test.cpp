// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The life of the loop: watches and timeouts outlive it, whatever the host does with it.
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void count_event(int, int, int, void *opaque) { count(opaque); }

// A callback that is a closure, for one watch or timeout; freed with it.
struct Closure {
  std::function<void(int id)> run;
  bool freed = false;

  static void event(int id, int, int, void *opaque) { static_cast<Closure *>(opaque)->run(id); }
  static void timeout(int id, void *opaque) { static_cast<Closure *>(opaque)->run(id); }
  static void free(void *opaque) { static_cast<Closure *>(opaque)->freed = true; }

  int watch(int fd, int events = VIR_EVENT_HANDLE_READABLE) {
    return virt_uv_add_handle(fd, events, event, this, free);
  }
  int timer(int frequency) { return virt_uv_add_timeout(frequency, timeout, this, free); }
};

// A detach whose end is noted.
struct Detach {
  bool done = false;
  int begin() {
    return virt_uv_detach([](void *opaque) { static_cast<Detach *>(opaque)->done = true; }, this);
  }
};

void close_all(uv_loop_t *loop) {
  uv_walk(
      loop,
      [](uv_handle_t *handle, void *) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
}

}  // namespace

// --- Detach and attach again ---

TEST_CASE("watches and timeouts go on in the same loop, and in another") {
  Loop first, second;
  Signal signal;
  signal.make_readable();
  int events = 0, ticks = 0, freed = 0;
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, count);
  const int timer = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
  virt_uv_add_handle(signal.get(), 0, count_event, &freed, nullptr);
  for (Loop *loop : {&first, &first, &second, &first}) {
    REQUIRE(virt_uv_attach(loop->get(), nullptr) == 0);
    events = ticks = 0;
    REQUIRE(loop->run_until([&] { return events > 0 && ticks > 0; }));
    REQUIRE(detach(*loop));
    events = ticks = 0;
    loop->run_iterations(5);
    CHECK(events + ticks == 0);
    CHECK(freed == 0);
  }
  CHECK(virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr) == 3);
  virt_uv_remove_timeout(timer);
  virt_uv_walk([](const virt_uv_entry *entry, void *) { virt_uv_remove_handle(entry->id); }, nullptr);
  CHECK(virt_uv_remove_handle(watch) == -1);
  Host host;
  CHECK(drain(host.loop));
}

TEST_CASE("in whichever loop, what is ready fires once in each iteration") {
  constexpr int kIterations = 10;
  Loop first, second;
  Signal signal;
  signal.make_readable();
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int calls[4] = {};
  int ids[4];
  for (int i = 0; i < 2; ++i)
    ids[i] = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &calls[i], nullptr);
  ids[2] = virt_uv_add_handle(null.get(), VIR_EVENT_HANDLE_READABLE, count_event, &calls[2], nullptr);
  ids[3] = virt_uv_add_timeout(0, count_timeout, &calls[3], nullptr);
  for (Loop *loop : {&first, &first, &second, &first}) {
    const auto flip_all = [&] {
      for (int i = 0; i < 3; ++i)
        for (const int events : {0, 3, 1}) virt_uv_update_handle(ids[i], events);
      for (const int frequency : {-1, 5, 0}) virt_uv_update_timeout(ids[3], frequency);
    };
    flip_all();
    REQUIRE(virt_uv_attach(loop->get(), nullptr) == 0);
    loop->run_iterations(2);
    flip_all();
    loop->run_iterations(2);  // all is armed
    std::fill(std::begin(calls), std::end(calls), 0);
    loop->run_iterations(kIterations);
    for (const int number : calls) CHECK(number == kIterations);
    REQUIRE(detach(*loop));
  }
  for (int i = 0; i < 3; ++i) CHECK(virt_uv_remove_handle(ids[i]) == 0);
  CHECK(virt_uv_remove_timeout(ids[3]) == 0);
  Host host;
  CHECK(drain(host.loop));
}

TEST_CASE("a watch that takes the place of an always-ready file's fires once in each iteration, too") {
  struct Successor {
    Signal signal;
    int calls = 0, id = -1;
    static void add(void *opaque) {
      Successor &self = *static_cast<Successor *>(opaque);
      self.id = virt_uv_add_handle(self.signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &self.calls, nullptr);
    }
  };
  Host host;
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Successor successor;
  successor.signal.make_readable();
  const auto remove = [](int id, int, int, void *) { virt_uv_remove_handle(id); };
  virt_uv_add_handle(null.get(), VIR_EVENT_HANDLE_READABLE, remove, &successor, Successor::add);
  REQUIRE(host.loop.run_until([&] { return successor.calls > 0; }));
  successor.calls = 0;
  host.loop.run_iterations(10);
  CHECK(successor.calls == 10);
  CHECK(virt_uv_remove_handle(successor.id) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("after a detach each call returns what is documented") {
  Signal signal;
  int freed = 0, watch, stale;
  {
    Host host;
    watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &freed, count);
    stale = virt_uv_add_handle(signal.get(), 0, count_event, nullptr, nullptr);
    CHECK(virt_uv_remove_handle(stale) == 0);
    host.loop.run_iterations(3);
  }
  CHECK(virt_uv_loop() == nullptr);
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_ENOTCONN);
  CHECK(virt_uv_drain(count, nullptr) == UV_ENOTCONN);
  virt_uv_unref();
  virt_uv_ref();
  CHECK(virt_uv_add_handle(-1, 0, count_event, nullptr, nullptr) == -1);
  CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);
  const int timer = virt_uv_add_timeout(0, count_timeout, &freed, count);
  CHECK(timer >= 1);
  virt_uv_update_handle(stale, 1);
  virt_uv_update_handle(watch, 0);
  virt_uv_update_timeout(timer, -1);
  CHECK(virt_uv_walk([](const virt_uv_entry *entry, void *) { CHECK((entry->events == 0 && entry->frequency <= 0)); },
                     nullptr) == 2);
  CHECK(virt_uv_remove_handle(stale) == -1);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_handle(watch) == -1);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(virt_uv_remove_timeout(timer) == -1);
  CHECK(stats().frees_pending == 2);
  CHECK(freed == 0);  // `ff` is called in a loop
  Host next;
  CHECK(drain(next.loop));
  CHECK(freed == 2);
}

TEST_CASE("calls made while no loop is attached are kept for the next") {
  { Host host; }
  Signal signal;
  signal.make_readable();
  Closure watch, gone, timer;
  int events = 0, ticks = 0;
  watch.run = [&](int) { ++events; };
  gone.run = [&](int) { FAIL("a removed watch fired"); };
  timer.run = [&](int) { ++ticks; };
  const int watch_id = watch.watch(signal.get(), 0);
  const int gone_id = gone.watch(signal.get());
  const int timer_id = timer.timer(-1);
  virt_uv_update_handle(watch_id, VIR_EVENT_HANDLE_READABLE);
  virt_uv_update_timeout(timer_id, 0);
  CHECK(virt_uv_remove_handle(gone_id) == 0);
  CHECK(virt_uv_remove_handle(gone_id) == -1);
  CHECK_FALSE(gone.freed);
  Host host;
  CHECK(host.loop.run_until([&] { return events > 0 && ticks > 0 && gone.freed; }));
  virt_uv_remove_handle(watch_id);
  virt_uv_remove_timeout(timer_id);
  CHECK(drain(host.loop));
}

TEST_CASE("what was removed before the detach is freed before done") {
  Host host;
  Signal signal;
  Closure watch, timer, always;
  Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  watch.run = timer.run = always.run = [](int) {};
  const int watch_id = watch.watch(signal.get()), always_id = always.watch(file.get()), timer_id = timer.timer(0);
  host.loop.run_iterations(3);
  virt_uv_remove_handle(watch_id);
  virt_uv_remove_handle(always_id);
  virt_uv_remove_timeout(timer_id);
  CHECK_FALSE((watch.freed || timer.freed || always.freed));
  CHECK(detach(host.loop));
  CHECK((watch.freed && timer.freed && always.freed));
}

TEST_CASE("a watch whose inspection is deferred is freed before done as well") {
  Host host;
  TcpPair tcp;
  Closure watch;
  watch.run = [](int) { FAIL("urgent data is neither ERROR nor HANGUP"); };
  const int id = watch.watch(tcp.ours.get(), VIR_EVENT_HANDLE_ERROR);
  const std::uint64_t before = stats().inspections;
  REQUIRE(send(tcp.peer.get(), "!", 1, MSG_OOB) == 1);
  REQUIRE(host.loop.run_until([&] { return stats().inspections > before; }));
  REQUIRE(virt_uv_remove_handle(id) == 0);
  CHECK(detach(host.loop));
  CHECK(watch.freed);
}

TEST_CASE("done may attach again, to the same loop") {
  Host host;
  int ticks = 0;
  const int timer = virt_uv_add_timeout(0, count_timeout, &ticks, nullptr);
  REQUIRE(virt_uv_detach([](void *loop) { virt_uv_attach(static_cast<uv_loop_t *>(loop), nullptr); },
                         host.loop.get()) == 0);
  CHECK(host.loop.run_until([&] { return ticks > 0; }));
  virt_uv_remove_timeout(timer);
  CHECK(drain(host.loop));
}

// --- Detach with a callback of libvirt's on the stack ---

namespace {

// `add` registers the closure; its first call removes it, where `removes` says so, and detaches.
void detach_inside(const std::function<int(Closure &)> &add, const std::function<int(int)> &remove, bool removes) {
  Host host;
  Detach detaching;
  Closure other_timer, other_idle, closure;
  int others = 0, calls = 0;
  other_timer.run = other_idle.run = [&](int) { ++others; };
  closure.run = [&](int id) {
    ++calls;
    if (removes) CHECK(remove(id) == 0);
    CHECK(detaching.begin() == 0);
    others = 0;
  };
  const int timer_id = other_timer.timer(1);
  const int id = add(closure);
  const int idle_id = other_idle.timer(0);
  REQUIRE(id >= 1);
  REQUIRE(host.loop.run_until([&] { return detaching.done; }));
  CHECK(calls == 1);
  CHECK(others == 0);  // silent from the call of detach on
  CHECK(closure.freed == removes);

  closure.run = [&](int) { ++calls; };
  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  CHECK(host.loop.run_until([&] { return others >= 2 && (removes || calls > 1); }));
  if (!removes) CHECK(remove(id) == 0);
  virt_uv_remove_timeout(timer_id);
  virt_uv_remove_timeout(idle_id);
  CHECK(drain(host.loop));
  CHECK(closure.freed);
}

}  // namespace

TEST_CASE("detach inside a watch's callback, with and without removing it") {
  Signal signal;
  signal.make_readable();
  for (const bool removes : {false, true})
    detach_inside([&](Closure &closure) { return closure.watch(signal.get()); }, virt_uv_remove_handle, removes);
}

TEST_CASE("detach inside an always-ready watch's callback, with and without removing it") {
  Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const bool removes : {false, true})
    detach_inside([&](Closure &closure) { return closure.watch(file.get()); }, virt_uv_remove_handle, removes);
}

TEST_CASE("after a detach inside a callback, no other callback comes in that iteration") {
  for (const int frequency : {-1, 0, 1}) {  // -1: files that are always ready, in place of timeouts
    Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
    Detach detaching;
    Closure closures[2];
    int calls = 0, ids[2];
    {
      Host host;
      for (int i = 0; i < 2; ++i) {
        closures[i].run = [&](int) {
          ++calls;
          CHECK(detaching.begin() == 0);
        };
        ids[i] = frequency < 0 ? closures[i].watch(file.get()) : closures[i].timer(frequency);
      }
      REQUIRE(host.loop.run_until([&] { return detaching.done; }));
      CHECK(calls == 1);
    }
    for (const int id : ids) CHECK((frequency < 0 ? virt_uv_remove_handle(id) : virt_uv_remove_timeout(id)) == 0);
    Host host;
    CHECK(drain(host.loop));
  }
}

TEST_CASE("detach inside a timeout's callback, with and without removing it") {
  for (const int frequency : {0, 1})
    for (const bool removes : {false, true})
      detach_inside([&](Closure &closure) { return closure.timer(frequency); }, virt_uv_remove_timeout, removes);
}

TEST_CASE("detach inside the callback of the only 0 timeout, which has removed itself") {
  Host host;
  Detach detaching;
  Closure timer;
  timer.run = [&](int id) {
    CHECK(virt_uv_remove_timeout(id) == 0);
    CHECK(detaching.begin() == 0);
  };
  timer.timer(0);
  CHECK(host.loop.run_until([&] { return detaching.done; }));
  CHECK(timer.freed);
}

TEST_CASE("detach inside an ff, with other frees behind it") {
  Host host;
  static Detach detaching;
  detaching = {};
  int freed = 0;
  const int first = virt_uv_add_timeout(-1, count_timeout, nullptr, [](void *) { CHECK(detaching.begin() == 0); });
  const int second = virt_uv_add_timeout(-1, count_timeout, &freed, count);
  virt_uv_remove_timeout(first);
  virt_uv_remove_timeout(second);
  REQUIRE(host.loop.run_until([&] { return detaching.done; }));
  CHECK(freed == 1);
}

TEST_CASE("detach inside a drain's callback") {
  Host host;
  static Detach detaching;
  detaching = {};
  REQUIRE(virt_uv_drain([](void *) { CHECK(detaching.begin() == 0); }, nullptr) == 0);
  CHECK(host.loop.run_until([] { return detaching.done; }));
}

// --- What hosts do ---

TEST_CASE("a loop that the host stops goes on when it is run again, also by another thread") {
  Host host;
  Closure timer;
  int ticks = 0;
  timer.run = [&](int) {
    ++ticks;
    uv_stop(host.loop.get());
  };
  const int id = timer.timer(0);
  for (int run = 1; run <= 10; ++run) {
    std::thread([&] { CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) != 0); }).join();
    CHECK(ticks == run);
    uv_run(host.loop.get(), UV_RUN_DEFAULT);
    CHECK(ticks == ++run);
  }
  timer.run = [&](int) { ++ticks; };
  virt_uv_remove_timeout(id);
  CHECK(drain(host.loop));
}

TEST_CASE("a thread that takes a loop over is the loop's thread in its first callback already") {
  for (const int frequency : {0, 1}) {
    Host host;
    Closure timer;
    int ticks = 0, idle = 0, error = 1;
    timer.run = [&](int) { ++ticks; };
    timer.timer(frequency);
    REQUIRE(host.loop.run_until([&] { return ticks > 0; }));
    timer.run = [&](int id) {
      error = virt_uv_drain(count, &idle);
      virt_uv_remove_timeout(id);
    };
    while (uv_backend_timeout(host.loop.get()) != 0) uv_update_time(host.loop.get());  // so that it comes first
    std::thread([&] { CHECK(host.loop.run_until([&] { return error != 1; })); }).join();
    CHECK(error == 0);
    CHECK(host.loop.run_until([&] { return idle == 1; }));
  }
}

TEST_CASE("a loop that has ended for want of work is made alive by a registration") {
  Host host;
  uv_run(host.loop.get(), UV_RUN_DEFAULT);
  REQUIRE(uv_loop_alive(host.loop.get()) == 0);
  Closure timer;
  timer.run = [&](int id) { virt_uv_remove_timeout(id); };
  timer.timer(1);
  CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) == 0);
  CHECK(timer.freed);
}

TEST_CASE("one thread attaches and goes on to register, while another runs the loop") {
  for (int round = 0; round < 50; ++round) {
    Host host;
    uv_async_t stop;
    uv_async_init(host.loop.get(), &stop, [](uv_async_t *async) { uv_stop(async->loop); });
    std::thread runner([&] { uv_run(host.loop.get(), UV_RUN_DEFAULT); });
    int ids[20];
    for (int &id : ids) id = virt_uv_add_timeout(-1, count_timeout, nullptr, nullptr);
    for (const int id : ids) CHECK(virt_uv_remove_timeout(id) == 0);
    uv_async_send(&stop);
    runner.join();
    host.loop.close(reinterpret_cast<uv_handle_t *>(&stop));
    CHECK(drain(host.loop));
    CHECK(uv_loop_alive(host.loop.get()) == 0);
  }
}

TEST_CASE("a host that closes every handle gets a clear error at the next call, and may attach again") {
  Lines lines;
  Signal signal;
  signal.make_readable();
  int events = 0;
  int watch;
  {
    Loop loop;
    const virt_uv_options options = logging_to(lines);
    REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
    watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
    REQUIRE(loop.run_until([&] { return events > 0; }));
    close_all(loop.get());
    uv_run(loop.get(), UV_RUN_DEFAULT);
  }  // the loop is closed, and its memory gone
  CHECK(virt_uv_loop() == nullptr);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "") == 0);
  const int timer = virt_uv_add_timeout(1, count_timeout, &events, nullptr);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "the host has closed virt-uv's handles") == 1);
  CHECK(virt_uv_drain(count, nullptr) == UV_ENOTCONN);
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_ECONNABORTED);
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_ENOTCONN);

  Host next;
  events = 0;
  CHECK(next.loop.run_until([&] { return events > 2; }));
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(next.loop));
}

TEST_CASE("a loop whose handles the host has closed leaves no fd behind") {
  Signal signal;
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, nullptr, nullptr);
  int fds = 0;
  for (int round = 0; round < 3; ++round) {
    {
      Loop loop;
      REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
      loop.run_iterations(1);
      close_all(loop.get());
      uv_run(loop.get(), UV_RUN_DEFAULT);
    }
    CHECK(virt_uv_detach(nullptr, nullptr) == UV_ECONNABORTED);
    if (round == 0) fds = open_fds();
    CHECK(open_fds() == fds);
  }
  Host last;
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(drain(last.loop));
}

TEST_CASE("a callback whose loop is lost may attach another, and the thread that gets that loop makes its calls") {
  Loop first, second;
  Closure timer;
  int error = 1, idle = 0;
  REQUIRE(virt_uv_attach(first.get(), nullptr) == 0);
  timer.run = [&](int id) {
    close_all(first.get());
    CHECK(virt_uv_remove_timeout(id) == 0);
    CHECK(virt_uv_attach(second.get(), nullptr) == 0);
    std::thread([&] { error = virt_uv_drain(count, &idle); }).join();
  };
  timer.timer(0);
  for (int i = 0; i < 100 && error == 1; ++i) uv_run(first.get(), UV_RUN_NOWAIT);
  CHECK(error == 0);
  uv_run(first.get(), UV_RUN_DEFAULT);
  CHECK(second.run_until([&] { return idle == 1; }));
  CHECK(detach(second));
}

// For leak checkers: what is kept for a lost loop is theirs to find.
TEST_CASE("what is kept of a lost loop stays in reach after a loop that was detached by a run in its callback") {
  {
    Loop lost;
    REQUIRE(virt_uv_attach(lost.get(), nullptr) == 0);
    close_all(lost.get());
    uv_run(lost.get(), UV_RUN_DEFAULT);
  }
  REQUIRE(virt_uv_detach(nullptr, nullptr) == UV_ECONNABORTED);
  Loop loop;
  Closure timer;
  Detach detaching;
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  timer.run = [&](int id) {
    CHECK(virt_uv_remove_timeout(id) == 0);
    CHECK(detaching.begin() == 0);
    while (!detaching.done) uv_run(loop.get(), UV_RUN_NOWAIT);
  };
  timer.timer(0);
  CHECK(loop.run_until([&] { return detaching.done; }));
  Host last;
  CHECK(drain(last.loop));
  CHECK(timer.freed);
}

TEST_CASE("a watch that another thread has removed is closed with its loop where the host closes every handle") {
  SocketPair pair;
  {
    Loop loop;
    REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
    const int watch = virt_uv_add_handle(pair.ours.get(), VIR_EVENT_HANDLE_READABLE, count_event, nullptr, nullptr);
    loop.run_iterations(2);
    std::thread([watch] { CHECK(virt_uv_remove_handle(watch) == 0); }).join();
    close_all(loop.get());
    uv_run(loop.get(), UV_RUN_DEFAULT);
  }
  CHECK(virt_uv_detach(nullptr, nullptr) == UV_ECONNABORTED);
  pair.ours.close();
  char byte;
  CHECK(recv(pair.peer.get(), &byte, 1, MSG_DONTWAIT) == 0);  // no duplicate is left
  Host last;
  CHECK(drain(last.loop));
}

TEST_CASE("a host that closes every handle inside a callback of libvirt's gets the error too") {
  Lines lines;
  Closure timer;
  Closure watch;
  Signal signal;
  signal.make_readable();
  {
    Loop loop;
    const virt_uv_options options = logging_to(lines);
    REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
    watch.run = [&](int) { close_all(loop.get()); };
    watch.watch(signal.get());
    uv_run(loop.get(), UV_RUN_DEFAULT);
  }
  timer.run = [](int id) { virt_uv_remove_timeout(id); };
  timer.timer(0);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "the host has closed virt-uv's handles") == 1);
  watch.run = [](int id) { virt_uv_remove_handle(id); };
  Host next;  // without a detach before
  CHECK(drain(next.loop));
  CHECK((timer.freed && watch.freed));
}

namespace {

// A moment at which the host closes every handle: arranges for it, on a loop that has nothing else on it yet.
struct Moment {
  const char *name;
  std::function<void(Loop &, Closure &closes_all)> arrange;
};

// Handles of the host's, which are closed with all others.
struct HostHandles {
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
};

}  // namespace

TEST_CASE("a host may close every handle at any moment, and all goes on in the next loop") {
  Signal signal;
  signal.make_readable();
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  HostHandles handles;
  const Moment moments[] = {
      {"before the first iteration", [](Loop &loop, Closure &) { close_all(loop.get()); }},
      {"while it detaches",
       [](Loop &loop, Closure &) {
         CHECK(virt_uv_detach(nullptr, nullptr) == 0);
         close_all(loop.get());
       }},
      {"in a watch's callback", [&](Loop &, Closure &closure) { closure.watch(signal.get()); }},
      {"in an always-ready watch's callback", [&](Loop &, Closure &closure) { closure.watch(null.get()); }},
      {"in the callback of a timeout of 0", [](Loop &, Closure &closure) { closure.timer(0); }},
      {"in a timeout's callback", [](Loop &, Closure &closure) { closure.timer(1); }},
      {"in an ff",
       [](Loop &, Closure &closure) {
         virt_uv_remove_timeout(virt_uv_add_timeout(-1, count_timeout, &closure,
                                                    [](void *opaque) { static_cast<Closure *>(opaque)->run(0); }));
       }},
      {"in the host's prepare callback",
       [&](Loop &loop, Closure &) {
         uv_prepare_init(loop.get(), &handles.prepare);
         uv_prepare_start(&handles.prepare, [](uv_prepare_t *own) { close_all(own->loop); });
       }},
      {"in the host's idle callback",
       [&](Loop &loop, Closure &) {
         uv_idle_init(loop.get(), &handles.idle);
         uv_idle_start(&handles.idle, [](uv_idle_t *own) { close_all(own->loop); });
       }},
      {"in the host's check callback", [&](Loop &loop, Closure &) {
         uv_check_init(loop.get(), &handles.check);
         uv_check_start(&handles.check, [](uv_check_t *own) { close_all(own->loop); });
       }}};
  for (const Moment &moment : moments) {
    INFO("closed " << moment.name);
    Lines lines;
    Closure closes_all;
    int events = 0, ticks = 0, zero = 0;
    int watch, timer, zero_timer;
    {
      Loop loop;
      closes_all.run = [&loop](int) { close_all(loop.get()); };
      const virt_uv_options options = logging_to(lines);
      REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
      watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
      timer = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
      zero_timer = virt_uv_add_timeout(0, count_timeout, &zero, nullptr);
      moment.arrange(loop, closes_all);
      uv_run(loop.get(), UV_RUN_DEFAULT);
    }
    CHECK(virt_uv_loop() == nullptr);
    const int answer = virt_uv_detach(nullptr, nullptr);
    CHECK((answer == UV_ECONNABORTED || answer == UV_ENOTCONN));
    CHECK(lines.count(VIRT_UV_LOG_ERROR, "the host has closed virt-uv's handles") ==
          (answer == UV_ECONNABORTED ? 1 : 0));

    closes_all.run = [](int) {};
    Host next;
    events = ticks = zero = 0;
    CHECK(next.loop.run_until([&] { return events > 1 && ticks > 1 && zero > 1; }));
    CHECK(virt_uv_remove_handle(watch) == 0);
    CHECK(virt_uv_remove_timeout(timer) == 0);
    CHECK(virt_uv_remove_timeout(zero_timer) == 0);
    virt_uv_walk(
        [](const virt_uv_entry *entry, void *) {
          entry->is_timeout != 0 ? virt_uv_remove_timeout(entry->id) : virt_uv_remove_handle(entry->id);
        },
        nullptr);
    CHECK(drain(next.loop));
  }
}

TEST_CASE("an open connection alone keeps uv_run from returning, and unref'd it does not") {
  Host host;
  virConnectPtr connection = virConnectOpen("test:///default");
  REQUIRE(connection != nullptr);
  const int registration = virConnectDomainEventRegisterAny(
      connection, nullptr, VIR_DOMAIN_EVENT_ID_REBOOT, [](virConnectPtr, virDomainPtr, void *) {}, nullptr, nullptr);
  REQUIRE(registration >= 0);
  // A timer of the host's that does not count for uv_run() ends it.
  uv_timer_t limit;
  uv_timer_init(host.loop.get(), &limit);
  uv_timer_start(
      &limit, [](uv_timer_t *own) { uv_stop(own->loop); }, 20, 20);
  uv_unref(reinterpret_cast<uv_handle_t *>(&limit));
  CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) != 0);  // ended by the timer
  virt_uv_unref();
  CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) == 0);
  virt_uv_ref();
  CHECK(virConnectDomainEventDeregisterAny(connection, registration) == 0);
  CHECK(virConnectClose(connection) == 0);
  uv_timer_stop(&limit);
  CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) == 0);
  host.loop.close(reinterpret_cast<uv_handle_t *>(&limit));
  CHECK(drain(host.loop));
}
