// SPDX-License-Identifier: LGPL-2.1-or-later
//
// No lock of the library's is held in a callback, an `ff`, a log line, or a call of libuv's or libvirt's; but for the
// few calls of libuv's that doc/threads.md names, none of which can call back.
//
// A build with -Dchecks=true aborts at the places that say calling_out(). This is seen from outside: the functions
// that the library locks by, and those that it calls, are interposed, as in inject.c. imports.sh sees to it that none
// is left out.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <iterator>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caller.h"
#include "host.hpp"
#include "pipes.hpp"

namespace {

// The library's that this thread holds. An unlock is told by its mutex: as a function's last call it may be a jump,
// with another's return address.
constexpr int kMany = 16;
thread_local pthread_mutex_t *held[kMany];
thread_local int locks_held = 0;
std::atomic<long> locks_taken{0};

// Is called once, before the library next takes a lock, or defers cancellation, on this thread: as if another thread
// had been faster.
thread_local void (*before_next)() = nullptr;

void call_before_next(std::uintptr_t caller) {
  if (before_next != nullptr && is_in_library(caller)) std::exchange(before_next, nullptr)();
}

// What was called with a lock held. Names are literals.
std::mutex names_mutex;
std::set<std::string> called_with_lock;

void note(const char *name) {
  if (locks_held == 0) return;
  const std::lock_guard<std::mutex> lock(names_mutex);
  called_with_lock.insert(name);
}

template <typename Fn>
Fn *next(const char *name) {
  return reinterpret_cast<Fn *>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define WATCHED(answer, name, parameters, arguments)                        \
  extern "C" answer name parameters {                                       \
    static answer(*const real) parameters = next<answer parameters>(#name); \
    if (is_in_library(CALLER)) note(#name);                                 \
    return real arguments;                                                  \
  }

WATCHED(int, uv_check_init, (uv_loop_t * loop, uv_check_t *handle), (loop, handle))
WATCHED(int, uv_check_start, (uv_check_t * handle, uv_check_cb cb), (handle, cb))
WATCHED(int, uv_check_stop, (uv_check_t * handle), (handle))
WATCHED(void, uv_close, (uv_handle_t * handle, uv_close_cb cb), (handle, cb))
WATCHED(int, uv_idle_init, (uv_loop_t * loop, uv_idle_t *handle), (loop, handle))
WATCHED(int, uv_idle_start, (uv_idle_t * handle, uv_idle_cb cb), (handle, cb))
WATCHED(int, uv_idle_stop, (uv_idle_t * handle), (handle))
WATCHED(int, uv_is_closing, (const uv_handle_t *handle), (handle))
WATCHED(int, uv_loop_close, (uv_loop_t * loop), (loop))
WATCHED(int, uv_loop_init, (uv_loop_t * loop), (loop))
WATCHED(int, uv_poll_init, (uv_loop_t * loop, uv_poll_t *handle, int fd), (loop, handle, fd))
WATCHED(int, uv_poll_start, (uv_poll_t * handle, int events, uv_poll_cb cb), (handle, events, cb))
WATCHED(int, uv_poll_stop, (uv_poll_t * handle), (handle))
WATCHED(int, uv_prepare_init, (uv_loop_t * loop, uv_prepare_t *handle), (loop, handle))
WATCHED(int, uv_prepare_start, (uv_prepare_t * handle, uv_prepare_cb cb), (handle, cb))
WATCHED(void, uv_ref, (uv_handle_t * handle), (handle))
WATCHED(int, uv_run, (uv_loop_t * loop, uv_run_mode mode), (loop, mode))
WATCHED(int, uv_timer_init, (uv_loop_t * loop, uv_timer_t *handle), (loop, handle))
WATCHED(int, uv_timer_start, (uv_timer_t * handle, uv_timer_cb cb, uint64_t due, uint64_t repeat),
        (handle, cb, due, repeat))
WATCHED(int, uv_timer_stop, (uv_timer_t * handle), (handle))
WATCHED(void, uv_unref, (uv_handle_t * handle), (handle))

WATCHED(int, virInitialize, (void), ())
WATCHED(int, virEventAddTimeout, (int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff),
        (frequency, cb, opaque, ff))
WATCHED(int, virEventRemoveTimeout, (int timer), (timer))
WATCHED(void, virEventRegisterImpl,
        (virEventAddHandleFunc add_handle, virEventUpdateHandleFunc update_handle,
         virEventRemoveHandleFunc remove_handle, virEventAddTimeoutFunc add_timeout,
         virEventUpdateTimeoutFunc update_timeout, virEventRemoveTimeoutFunc remove_timeout),
        (add_handle, update_handle, remove_handle, add_timeout, update_timeout, remove_timeout))

// Both are called by everything in the process, and from its first moments on.
extern "C" int pthread_mutex_lock(pthread_mutex_t *mutex) noexcept {
  static int (*real)(pthread_mutex_t *);
  if (real == nullptr) real = next<int(pthread_mutex_t *)>("pthread_mutex_lock");
  call_before_next(CALLER);
  const int err = real(mutex);
  if (err == 0 && is_in_library(CALLER) && locks_held < kMany) {
    held[locks_held++] = mutex;
    ++locks_taken;
  }
  return err;
}

extern "C" int pthread_mutex_unlock(pthread_mutex_t *mutex) noexcept {
  static int (*real)(pthread_mutex_t *);
  if (real == nullptr) real = next<int(pthread_mutex_t *)>("pthread_mutex_unlock");
  for (int i = 0; i < locks_held; ++i)
    if (held[i] == mutex) {
      held[i] = held[--locks_held];
      break;
    }
  return real(mutex);
}

extern "C" int pthread_setcancelstate(int state, int *old) {
  static auto *const real = next<int(int, int *)>("pthread_setcancelstate");
  call_before_next(CALLER);
  return real(state, old);
}

namespace {

void on_free(void *) { note("ff"); }

void on_log(virt_uv_log_level, const char *, void *) { note("log"); }

// In turn: looks on, changes its mask, throws.
void on_event(int watch, int, int, void *opaque) {
  note("a watch's callback");
  const int calls = ++*static_cast<int *>(opaque);
  virt_uv_update_handle(watch, calls % 2 == 0 ? 15 : VIR_EVENT_HANDLE_READABLE);
  if (calls % 3 == 0) throw std::runtime_error("for the log");
}

void on_timeout(int timer, void *opaque) {
  note("a timeout's callback");
  if (++*static_cast<int *>(opaque) == 5) virt_uv_remove_timeout(timer);
}

// A watch of each kind of fd, in every state.
struct Everything {
  Everything() {
    signal.make_readable();
    hung_up.peer.close();
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    close(ends[0]);
    for (const int fd : {signal.get(), hung_up.ours.get(), ends[1], null.get(), signal.get()})
      for (const int events : {0, 1, 2, 8, 15})
        watches.push_back(virt_uv_add_handle(fd, events, on_event, &calls.emplace_back(0), on_free));
    for (int i = 0; i < 30; ++i)
      timers.push_back(virt_uv_add_timeout(i % 4 - 1, on_timeout, &calls.emplace_back(0), on_free));
    virt_uv_add_handle(-1, 1, on_event, nullptr, on_free);  // a log line
    virt_uv_add_timeout(1, nullptr, nullptr, on_free);
  }
  ~Everything() { close(ends[1]); }

  void flip(int round) {
    for (const int watch : watches) virt_uv_update_handle(watch, (round + watch) % 16);
    for (const int timer : timers) virt_uv_update_timeout(timer, (round + timer) % 4 - 1);
    virt_uv_walk([](const virt_uv_entry *, void *) { note("walk's callback"); }, nullptr);
    signal.lower();
    signal.make_readable();
  }

  void remove_all() {
    for (const int watch : watches) virt_uv_remove_handle(watch);
    for (const int timer : timers) virt_uv_remove_timeout(timer);
  }

  Signal signal;
  SocketPair hung_up;
  Fd null{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  int ends[2];
  std::deque<int> calls;
  std::vector<int> watches, timers;
};

virt_uv_options with_log() {
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = on_log;
  return options;
}

// A detach or a drain, until its callback `name` has come.
bool until_called(Loop &loop, int (*begin)(virt_uv_cb, void *), const char *name) {
  struct Call {
    const char *name;
    bool came;
  } call{name, false};
  const int err = begin(
      [](void *opaque) {
        Call &self = *static_cast<Call *>(opaque);
        note(self.name);
        self.came = true;
      },
      &call);
  return err == 0 && loop.run_until([&] { return call.came; });
}

bool detach_watched(Loop &loop) { return until_called(loop, virt_uv_detach, "done"); }
bool drain_watched(Loop &loop) { return until_called(loop, virt_uv_drain, "drain's callback"); }

// Attaches, makes everything of everything happen, on the loop's thread and on another, and detaches while it lives.
void live_through(Everything &all) {
  const virt_uv_options options = with_log();
  Loop loop;
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
  virt_uv_unref();
  virt_uv_ref();
  for (int round = 0; round < 40; ++round) {
    if (round % 2 == 0)
      all.flip(round);
    else
      std::thread([&] { all.flip(round); }).join();
    loop.run_iterations(1 + round % 3);
  }
  CHECK(detach_watched(loop));
}

void live_until_the_host_closes_everything() {
  const virt_uv_options options = with_log();
  Loop loop;
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);
  loop.run_iterations(2);
  uv_walk(
      loop.get(),
      [](uv_handle_t *handle, void *) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
  static int calls = 0;
  virt_uv_add_timeout(1, on_timeout, &calls, on_free);
  uv_run(loop.get(), UV_RUN_DEFAULT);
}

}  // namespace

TEST_CASE("no lock is held in a callback, nor in a call of libuv's or libvirt's but the few that are documented") {
  {
    Everything all;
    live_through(all);
    live_through(all);
    live_until_the_host_closes_everything();
    all.remove_all();
  }
  Loop loop;
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  virt_uv_walk([](const virt_uv_entry *entry, void *) { virt_uv_remove_timeout(entry->id); }, nullptr);
  CHECK(drain_watched(loop));
  CHECK(detach_watched(loop));

  CHECK(locks_taken > 0);
  CHECK(locks_held == 0);
  const std::set<std::string> documented = {"uv_close", "uv_is_closing", "uv_ref", "uv_unref"};
  std::vector<std::string> undocumented;
  std::set_difference(called_with_lock.begin(), called_with_lock.end(), documented.begin(), documented.end(),
                      std::back_inserter(undocumented));
  CHECK(undocumented == std::vector<std::string>{});
  CHECK(called_with_lock.count("uv_close") == 1);  // else nothing would have been seen at all
}

TEST_CASE("a timeout that is set to 0 again just before the loop takes it off its list goes on firing") {
  static int ticks, timer;
  ticks = 0;
  Host host;
  const auto tick = [](int id, void *) {
    if (++ticks != 1) return;
    virt_uv_update_timeout(id, -1);
    before_next = [] { virt_uv_update_timeout(timer, 0); };
  };
  timer = virt_uv_add_timeout(0, tick, nullptr, nullptr);
  REQUIRE(host.loop.run_until([] { return ticks > 0; }));
  REQUIRE(before_next == nullptr);  // it has been called
  const int before = ticks;
  host.loop.run_iterations(3);
  CHECK(ticks == before + 3);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("of two threads that remove a watch at the same moment one has removed it, and it is counted once") {
  static int watch, first;
  Host host;
  Signal signal;
  int freed = 0;
  const auto ignore_event = [](int, int, int, void *) {};
  const auto count_free = [](void *opaque) { ++*static_cast<int *>(opaque); };
  watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, ignore_event, &freed, count_free);
  before_next = [] { first = virt_uv_remove_handle(watch); };
  const int second = virt_uv_remove_handle(watch);
  REQUIRE(before_next == nullptr);  // it has been called
  CHECK(first == 0);
  CHECK(second == -1);
  CHECK(stats().watches == 0);
  CHECK(drain(host.loop));
  CHECK(freed == 1);
  CHECK(stats().frees_pending == 0);
}
