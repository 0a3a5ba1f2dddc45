// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Callbacks that do not return: longjmp, pthread_exit, pthread_cancel. Those that run the loop have a test of their
// own, in stress.
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>

#include <atomic>
#include <thread>

#include "host.hpp"
#include "pipes.hpp"

namespace {

void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void no_timeout(int, void *) {}
void no_event(int, int, int, void *) {}

jmp_buf back;

void jump_out(int *jumps) {
  ++*jumps;
  longjmp(back, 1);
}

// No object with a destructor may be on the frames that are jumped over.
void run_and_be_jumped_out_of(uv_loop_t *loop) {
  if (setjmp(back) == 0) uv_run(loop, UV_RUN_ONCE);
}

// Runs the loop in a thread of its own until that thread has ended in a callback.
template <typename Function>
void run_in_thread(Function function) {
  pthread_t thread;
  REQUIRE(pthread_create(
              &thread, nullptr,
              [](void *opaque) -> void * {
                (*static_cast<Function *>(opaque))();
                return nullptr;
              },
              &function) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
}

}  // namespace

// Not out of a watch's callback: libuv keeps a pointer into the frame of uv__io_poll then, and writes through it.
TEST_CASE("after a timeout's callback that has left by longjmp, the next timeouts fire") {
  for (const int frequency : {1, 0}) {
    INFO("frequency " << frequency);
    Host host;
    int jumps = 0, ticks = 0;
    const int id = virt_uv_add_timeout(
        frequency, [](int, void *opaque) { jump_out(static_cast<int *>(opaque)); }, &jumps, nullptr);
    const int timer = virt_uv_add_timeout(2, count_timeout, &ticks, nullptr);
    while (jumps < 3) run_and_be_jumped_out_of(host.loop.get());
    CHECK(virt_uv_remove_timeout(id) == 0);
    ticks = 0;
    CHECK(host.loop.run_until([&] { return ticks >= 2; }));
    CHECK(virt_uv_remove_timeout(timer) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("a thread may end in a callback, and another goes on with the loop") {
  for (const int kind : {0, 1, 3}) {  // not in a watch's callback, as above
    INFO("kind " << kind << " of: ff, always-ready fd, watch, timeout");
    Host host;
    Signal signal;
    signal.make_readable();
    Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    static int exits;
    exits = 0;
    const auto leave = [](int, int, int, void *) {
      if (exits++ == 0) pthread_exit(nullptr);
    };
    int watch = -1, timer = -1;
    if (kind == 0)
      virt_uv_remove_timeout(virt_uv_add_timeout(-1, no_timeout, nullptr, [](void *) {
        ++exits;
        pthread_exit(nullptr);
      }));
    if (kind == 1) watch = virt_uv_add_handle(null.get(), 1, leave, nullptr, nullptr);
    if (kind == 2) watch = virt_uv_add_handle(signal.get(), 1, leave, nullptr, nullptr);
    if (kind == 3)
      timer = virt_uv_add_timeout(
          1,
          [](int, void *) {
            if (exits++ == 0) pthread_exit(nullptr);
          },
          nullptr, nullptr);
    run_in_thread([&] {
      while (true) uv_run(host.loop.get(), UV_RUN_ONCE);
    });
    CHECK(exits == 1);
    if (watch >= 0) CHECK(virt_uv_remove_handle(watch) == 0);
    if (timer >= 0) CHECK(virt_uv_remove_timeout(timer) == 0);
    int ticks = 0;
    const int next = virt_uv_add_timeout(1, count_timeout, &ticks, nullptr);
    CHECK(host.loop.run_until([&] { return ticks > 0; }));
    CHECK(virt_uv_remove_timeout(next) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("a thread may be cancelled while it adds and removes") {
  Host host;
  for (int i = 0; i < 50; ++i) {
    struct Shared {
      Signal signal;
      std::atomic<int> rounds{0};
      int last = -1;
    } shared;
    pthread_t thread;
    REQUIRE(pthread_create(
                &thread, nullptr,
                [](void *opaque) -> void * {
                  Shared &own = *static_cast<Shared *>(opaque);
                  while (true) {
                    own.last = virt_uv_add_handle(own.signal.get(), 1, no_event, nullptr, nullptr);
                    virt_uv_remove_handle(own.last);
                    ++own.rounds;
                    pthread_testcancel();
                  }
                },
                &shared) == 0);
    while (shared.rounds < 3) host.loop.run_iterations(1);
    REQUIRE(pthread_cancel(thread) == 0);
    void *result;
    REQUIRE(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
    virt_uv_remove_handle(shared.last);
    CHECK(drain(host.loop));
  }
}
