// SPDX-License-Identifier: LGPL-2.1-or-later
//
// fork(): what a child may do, and that it does the parent's loop no harm, although both share one epoll instance.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <thread>
#include <vector>

#include "child.hpp"
#include "host.hpp"
#include "pipes.hpp"

namespace {

void no_timeout_callback(int, void *) {}
void no_handle_callback(int, int, int, void *) {}
void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_event(int, int, int, void *opaque) { count(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }

// 0, or which result is not the one that virt-uv.h documents.
int wrong_result(uv_loop_t *loop, int fd, int watch, int timer) {
  virt_uv_update_handle(watch, 0);
  virt_uv_update_timeout(timer, 0);
  if (virt_uv_attach(loop, nullptr) != UV_EPERM) return 1;
  if (virt_uv_detach(nullptr, nullptr) != UV_EPERM) return 2;
  if (virt_uv_drain(count, nullptr) != UV_EPERM) return 3;
  if (virt_uv_add_handle(fd, VIR_EVENT_HANDLE_READABLE, no_handle_callback, nullptr, nullptr) != -1) return 4;
  if (virt_uv_add_timeout(0, no_timeout_callback, nullptr, nullptr) != -1) return 5;
  if (virt_uv_remove_handle(watch) != -1) return 6;
  if (virt_uv_remove_timeout(timer) != -1) return 7;
  virt_uv_ref();
  virt_uv_unref();
  virt_uv_report_exception("of a child");
  if (virt_uv_loop() != nullptr) return 8;
  int entries = 0;
  const auto count_entry = [](const virt_uv_entry *, void *opaque) { count(opaque); };
  if (virt_uv_walk(count_entry, &entries) != 0 || entries != 0) return 9;
  if (virt_uv_take_loop() != UV_EPERM) return 10;
  return 0;
}

bool has_active_timer(uv_loop_t *loop) {
  bool found = false;
  const auto look = [](uv_handle_t *handle, void *opaque) {
    if (uv_handle_get_type(handle) == UV_TIMER && uv_is_active(handle) != 0) *static_cast<bool *>(opaque) = true;
  };
  uv_walk(loop, look, &found);
  return found;
}

// Ends a child with that status by way of exec: what only threads had that do not exist in it is lost there, and
// valgrind would say so at an _exit().
int exec_to_exit(int status) {
  char command[] = "exit 0";
  command[sizeof command - 2] = static_cast<char>('0' + status);
  execl("/bin/sh", "sh", "-c", command, static_cast<char *>(nullptr));
  return 127;
}

}  // namespace

TEST_CASE("calls in a forked child return what is documented, and the parent's loop goes on as if there were none") {
  Host host;
  Signal signal;
  signal.make_readable();
  int events = 0, ticks = 0;
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
  const int timer = virt_uv_add_timeout(
      1, [](int, void *opaque) { count(opaque); }, &ticks, nullptr);
  REQUIRE(host.loop.run_until([&] { return events > 0 && ticks > 0; }));
  CHECK(status_of(fork_child([] { return 0; })) == 0);
  CHECK(status_of(fork_child([&] { return wrong_result(host.loop.get(), signal.get(), watch, timer); })) == 0);
  CHECK(status_of(fork_child([&] {  // and in a child of the child's
          const pid_t child = fork_child([&] { return wrong_result(host.loop.get(), signal.get(), watch, timer); });
          return status_of(child) == 0 ? 0 : 1;
        })) == 0);
  CHECK(status_of(fork_child([] { return execl("/bin/true", "true", static_cast<char *>(nullptr)); })) == 0);
  events = ticks = 0;
  CHECK(host.loop.run_until([&] { return events > 0 && ticks > 0; }));
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("a child that is forked while other threads are in the middle of calls does not hang") {
  Host host;
  Signal signal;
  const int watch = virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr);
  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, timer] {
      while (!stop) {  // both take the library's locks
        virt_uv_update_timeout(timer, INT_MAX);
        virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr);
      }
    });
  for (int i = 0; i < 30; ++i) {
    host.loop.run_iterations(1);
    CHECK(status_of(fork_child(
              [&] { return exec_to_exit(wrong_result(host.loop.get(), signal.get(), watch, timer)); })) == 0);
  }
  stop = true;
  for (std::thread &thread : threads) thread.join();
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("what a child has inherited wakes the parent's loop no more once it is removed") {
  Host host;
  Signal signal;
  signal.make_readable();
  int events = 0;
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
  REQUIRE(host.loop.run_until([&] { return events > 0; }));
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  Fd read_end(ends[0]), write_end(ends[1]);
  const pid_t child = fork_child([&] {  // holds every fd until the parent says so
    write_end.close();
    char byte;
    return static_cast<int>(read(read_end.get(), &byte, 1));
  });
  REQUIRE(virt_uv_remove_handle(watch) == 0);
  REQUIRE(drain(host.loop));
  host.loop.run_iterations(3);
  pollfd epoll = {uv_backend_fd(host.loop.get()), POLLIN, 0};
  CHECK(poll(&epoll, 1, 0) == 0);
  write_end.close();
  CHECK(status_of(child) == 0);
}

TEST_CASE("no fd of the library outlives an exec") {
  std::vector<int> before;
  for (int fd = 0; fd < 1024; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) before.push_back(fd);
  Host host;
  Signal signal;
  SocketPair pair;
  const int ids[] = {virt_uv_add_handle(signal.get(), 1, no_handle_callback, nullptr, nullptr),
                     virt_uv_add_handle(pair.ours.get(), 1, no_handle_callback, nullptr, nullptr)};
  host.loop.run_iterations(3);
  int inherited = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    const bool is_new = std::find(before.begin(), before.end(), fd) == before.end();
    if (is_new && flags >= 0 && (flags & FD_CLOEXEC) == 0) ++inherited;
  }
  CHECK(inherited == 0);
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("a child that runs the loop of its parent calls nothing of the parent's") {
  for (const bool tells_libuv : {false, true}) {
    INFO((tells_libuv ? "with uv_loop_fork" : "without uv_loop_fork"));
    Host host;
    Signal signal;
    signal.make_readable();
    int events = 0, ticks = 0, zero_ticks = 0;
    const auto tick = [](int, void *opaque) { count(opaque); };
    const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
    const int timer = virt_uv_add_timeout(1, tick, &ticks, nullptr);
    const int zero_timer = virt_uv_add_timeout(0, tick, &zero_ticks, nullptr);
    const auto all_called = [&] { return events > 0 && ticks > 0 && zero_ticks > 0; };
    REQUIRE(host.loop.run_until(all_called));
    events = ticks = zero_ticks = 0;
    CHECK(status_of(fork_child([&] {
            if (tells_libuv && uv_loop_fork(host.loop.get()) != 0) return 2;
            host.loop.run_iterations(5);
            uv_run(host.loop.get(), UV_RUN_DEFAULT);  // returns: what the parent has registered does not hold it
            return events + ticks + zero_ticks == 0 ? 0 : 1;
          })) == 0);
    CHECK(host.loop.run_until(all_called));
    CHECK(virt_uv_remove_handle(watch) == 0);
    CHECK(virt_uv_remove_timeout(timer) == 0);
    CHECK(virt_uv_remove_timeout(zero_timer) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("the first refusal in a forked child is logged, once, with what to do") {
  Host host;
  CHECK(status_of(fork_child([&] {
          host.lines.clear();
          for (int i = 0; i < 3; ++i) virt_uv_add_timeout(0, no_timeout_callback, nullptr, nullptr);
          virt_uv_attach(host.loop.get(), nullptr);
          return host.lines.count(VIRT_UV_LOG_ERROR, "fork") == 1 && host.lines.count(VIRT_UV_LOG_ERROR, "") == 1 ? 0
                                                                                                                  : 1;
        })) == 0);
}

TEST_CASE("a child forked with nothing attached may attach, and has its own watches only") {
  Signal signal;
  signal.make_readable();
  const Fd directory(open("/", O_RDONLY | O_CLOEXEC));  // has no duplicate: epoll does not take it
  int parents = 0;
  int watch, always;
  {
    Host host;
    watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &parents, nullptr);
    always = virt_uv_add_handle(directory.get(), VIR_EVENT_HANDLE_READABLE, count_event, &parents, nullptr);
    REQUIRE(host.loop.run_until([&] { return parents > 1; }));
  }
  parents = 0;
  CHECK(status_of(fork_child([&] {
          uv_loop_t loop;
          if (uv_loop_init(&loop) != 0 || virt_uv_attach(&loop, nullptr) != 0) return 1;
          int own = 0;
          Signal own_signal;
          own_signal.make_readable();
          const int id = virt_uv_add_handle(own_signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &own, nullptr);
          if (id < 1) return 2;
          for (int i = 0; i < 100 && own == 0; ++i) uv_run(&loop, UV_RUN_NOWAIT);
          for (int i = 0; i < 5; ++i) uv_run(&loop, UV_RUN_NOWAIT);
          if (own == 0) return 3;
          if (parents != 0) return 4;
          bool drained = false;
          if (virt_uv_remove_handle(id) != 0) return 5;
          virt_uv_drain([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &drained);
          for (int i = 0; i < 100 && !drained; ++i) uv_run(&loop, UV_RUN_NOWAIT);
          if (!drained) return 6;
          bool detached = false;
          virt_uv_detach([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &detached);
          for (int i = 0; i < 100 && !detached; ++i) uv_run(&loop, UV_RUN_NOWAIT);
          if (fcntl(directory.get(), F_GETFD) < 0) return 7;
          return uv_loop_close(&loop) == 0 ? 0 : 8;
        })) == 0);
  Host host;
  CHECK(host.loop.run_until([&] { return parents > 0; }));
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_handle(always) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("a child forked with nothing attached has neither timeouts nor drains of its parent's") {
  int of_list = 0, of_heap = 0, idle = 0;
  int timers[2];
  {
    Host host;
    timers[0] = virt_uv_add_timeout(0, count_timeout, &of_list, nullptr);
    timers[1] = virt_uv_add_timeout(1, count_timeout, &of_heap, nullptr);
    REQUIRE(host.loop.run_until([&] { return of_list > 0 && of_heap > 0; }));
    REQUIRE(virt_uv_drain(count, &idle) == 0);
  }
  of_list = of_heap = 0;
  CHECK(status_of(fork_child([&] {
          uv_loop_t loop;
          if (uv_loop_init(&loop) != 0 || virt_uv_attach(&loop, nullptr) != 0) return 1;
          for (int i = 0; i < 3; ++i) uv_run(&loop, UV_RUN_NOWAIT);
          if (has_active_timer(&loop)) return 9;  // for one of the parent's, or to say what its drain waits for
          if (virt_uv_remove_timeout(timers[0]) != -1 || virt_uv_remove_timeout(timers[1]) != -1) return 2;
          int own = 0, own_idle = 0;
          const int id = virt_uv_add_timeout(2, count_timeout, &own, nullptr);  // due after the parent's
          while (own < 2) uv_run(&loop, UV_RUN_ONCE);
          if (of_list + of_heap != 0) return 3;
          if (stats().timeouts != 1) return 4;
          if (virt_uv_remove_timeout(id) != 0 || virt_uv_drain(count, &own_idle) != 0) return 5;
          while (own_idle == 0) uv_run(&loop, UV_RUN_ONCE);
          if (idle != 0) return 6;
          int detached = 0;
          if (virt_uv_detach(count, &detached) != 0) return 7;
          while (detached == 0) uv_run(&loop, UV_RUN_ONCE);
          return uv_loop_close(&loop) == 0 ? 0 : 8;
        })) == 0);
  Host host;
  CHECK(host.loop.run_until([&] { return of_list > 0 && of_heap > 0; }));
  for (const int timer : timers) CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(host.loop.run_until([&] { return idle == 1; }));
}

TEST_CASE("a child forked with nothing attached closes no fd that has the number of a removed watch's duplicate") {
  Signal signal;
  { Host host; }  // fork() is noticed from the first attach on
  const int watch = virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr);
  CHECK(virt_uv_remove_handle(watch) == 0);
  const Signal other;  // the lowest number that is free
  CHECK(status_of(fork_child([&] { return fcntl(other.get(), F_GETFD) < 0 ? 1 : 0; })) == 0);
  Host host;
  CHECK(drain(host.loop));
}

TEST_CASE("a child forked in a callback, of what is to be freed when that returns, frees nothing") {
  struct Callback {
    Loop loop;
    bool is_watch;
    int freed = 0, child_status = -1;

    void run(int id) {
      CHECK((is_watch ? virt_uv_remove_handle(id) : virt_uv_remove_timeout(id)) == 0);
      CHECK(detach(loop));
      child_status = status_of(fork_child([this] {
        uv_loop_t own;
        if (uv_loop_init(&own) != 0 || virt_uv_attach(&own, nullptr) != 0) return 1;
        for (int i = 0; i < 5; ++i) uv_run(&own, UV_RUN_NOWAIT);
        int detached = 0;
        if (virt_uv_detach(count, &detached) != 0) return 3;
        while (detached == 0) uv_run(&own, UV_RUN_ONCE);
        if (uv_loop_close(&own) != 0) return 4;
        return freed == 0 ? 0 : 2;
      }));
      CHECK(freed == 0);
    }
    static void event(int id, int, int, void *opaque) { static_cast<Callback *>(opaque)->run(id); }
    static void timeout(int id, void *opaque) { static_cast<Callback *>(opaque)->run(id); }
    static void free(void *opaque) { ++static_cast<Callback *>(opaque)->freed; }
  };
  Signal signal;
  signal.make_readable();
  for (const bool is_watch : {false, true}) {
    Callback callback;
    callback.is_watch = is_watch;
    REQUIRE(virt_uv_attach(callback.loop.get(), nullptr) == 0);
    if (is_watch)
      virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, Callback::event, &callback, Callback::free);
    else
      virt_uv_add_timeout(0, Callback::timeout, &callback, Callback::free);
    CHECK(callback.loop.run_until([&] { return callback.child_status >= 0; }));
    CHECK(callback.child_status == 0);
    Host host;
    CHECK(host.loop.run_until([&] { return callback.freed == 1; }));
  }
}
