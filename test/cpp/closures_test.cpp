/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Closures in the libuv loop: when they are called, and when destroyed. */
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include <virt-uv/adapter.hpp>
#include <virt-uv/event.hpp>

#include "fixtures.hpp"

using virt_uv::handle_event;
using virt_uv::Timeout;
using virt_uv::Watch;

namespace {

/* A loop with the adapter on it. In the end it is drained, so that nothing passes from one test to the next. */
class Attached {
 public:
  explicit Attached(const virt_uv_options *options = nullptr) : adapter_(loop_.get(), options) {}
  ~Attached() {
    bool idle = false;
    adapter_.drain([&idle] { idle = true; });
    loop_.require_until([&idle] { return idle; });
  }
  void require_until(const std::function<bool()> &done) { loop_.require_until(done); }

  /* Two iterations: whatever was due has happened. */
  void run_two_iterations() { loop_.run_iterations(2); }

 private:
  UvLoop loop_;
  virt_uv::Adapter adapter_;
};

}  // namespace

TEST_CASE("a watch's closure is called with its id and fd and the events") {
  Attached attached;
  Signal signal;
  int seen_id = 0, seen_fd = -1;
  handle_event seen = handle_event::none;
  const int id = virt_uv::add_handle(signal.get(), handle_event::readable, [&](int watch, int fd, handle_event events) {
    seen_id = watch, seen_fd = fd, seen = events;
    signal.lower();
  });
  CHECK(id >= 1);
  attached.run_two_iterations();
  CHECK(seen_id == 0);
  signal.make_readable();
  attached.require_until([&] { return seen_id != 0; });
  CHECK(seen_id == id);
  CHECK(seen_fd == signal.get());
  CHECK(seen == handle_event::readable);
  CHECK(virt_uv::remove_handle(id) == 0);
  CHECK(virt_uv::remove_handle(id) == -1);
}

TEST_CASE("a timeout's closure is called with its id") {
  Attached attached;
  int seen = 0;
  const int id = virt_uv::add_timeout(0, [&seen](int timer) { seen = timer; });
  CHECK(id >= 1);
  CHECK(seen == 0);
  attached.require_until([&seen] { return seen != 0; });
  CHECK(seen == id);
  CHECK(virt_uv::remove_timeout(id) == 0);
  CHECK(virt_uv::remove_timeout(id) == -1);
}

TEST_CASE("a closure may be a function or a std::function or move-only") {
  Attached attached;
  static int function_calls = 0;
  function_calls = 0;
  int copied_calls = 0, move_only_calls = 0;
  const Timeout function(
      0, +[](int) { ++function_calls; });
  const std::function<void(int)> original = [&copied_calls](int) { ++copied_calls; };
  const Timeout copied(0, original);
  const Timeout move_only(0, [&move_only_calls, step = std::make_unique<int>(1)](int) { move_only_calls += *step; });
  attached.require_until([&] { return function_calls > 0 && copied_calls > 0 && move_only_calls > 0; });
}

TEST_CASE("an empty function is refused when it is added") {
  Attached attached;
  CHECK(error_of([] { virt_uv::add_timeout(0, std::function<void(int)>()); }) == std::errc::invalid_argument);
  void (*null)(int, int, handle_event) = nullptr;
  Signal signal;
  CHECK(error_of([&] { virt_uv::add_handle(signal.get(), handle_event::readable, null); }) ==
        std::errc::invalid_argument);
  CHECK(stats().watches + stats().timeouts == 0);
}

TEST_CASE("a closure's state changes from call to call and stays with it") {
  Attached attached;
  int last = 0;
  const Timeout timeout(0, [&last, calls = 0](int) mutable { last = ++calls; });
  attached.require_until([&last] { return last >= 3; });
}

TEST_CASE("a closure is destroyed once in the loop and not by the remove") {
  Attached attached;
  int destroyed = 0;
  const int timer = virt_uv::add_timeout(-1, [counts = CountsDestruction(destroyed)](int) {});
  attached.run_two_iterations();
  CHECK(destroyed == 0);
  CHECK(virt_uv::remove_timeout(timer) == 0);
  CHECK(destroyed == 0);
  attached.require_until([&destroyed] { return destroyed > 0; });
  attached.run_two_iterations();
  CHECK(destroyed == 1);
}

TEST_CASE("a closure that removes itself lives until it has returned") {
  Attached attached;
  int destroyed = 0, calls = 0, destroyed_inside = -1;
  virt_uv::add_timeout(0, [&, counts = CountsDestruction(destroyed)](int timer) {
    ++calls;
    CHECK(virt_uv::remove_timeout(timer) == 0);
    destroyed_inside = destroyed;
  });
  attached.require_until([&destroyed] { return destroyed > 0; });
  attached.run_two_iterations();
  CHECK(calls == 1);
  CHECK(destroyed_inside == 0);
  CHECK(destroyed == 1);
}

TEST_CASE("a watch that is destroyed inside its own closure is legal") {
  Attached attached;
  Signal signal;
  int destroyed = 0, calls = 0;
  std::optional<Watch> watch;
  watch.emplace(signal.get(), handle_event::readable,
                [&, counts = CountsDestruction(destroyed)](int, int, handle_event) {
                  ++calls;
                  watch.reset();
                });
  signal.make_readable();
  attached.require_until([&destroyed] { return destroyed > 0; });
  attached.run_two_iterations();
  CHECK(calls == 1);
  CHECK(destroyed == 1);
}

TEST_CASE("an add that fails destroys the closure once and says why") {
  Attached attached;
  int destroyed = 0;
  int closed = -1;
  {
    Signal signal;
    closed = signal.get();
  }
  for (const int fd : {-1, closed}) {
    destroyed = 0;
    CHECK(error_of([&] {
            virt_uv::add_handle(fd, handle_event::readable,
                                [c = CountsDestruction(destroyed)](int, int, handle_event) {});
          }) == std::errc::bad_file_descriptor);
    CHECK(destroyed == 1);
  }
  attached.run_two_iterations();
  CHECK(destroyed == 1);
}

TEST_CASE("an exception out of a closure is logged with its words and counted and the closure stays") {
  Lines lines;
  const virt_uv_options options = logging_to(lines);
  const uint64_t before = stats().exceptions;
  int calls = 0;
  {
    Attached attached(&options);
    Signal signal;
    signal.make_readable();
    const Timeout timeout(0, [&calls](int) {
      ++calls;
      throw std::runtime_error("the teapot is empty");
    });
    const Watch watch(signal.get(), handle_event::readable, [&](int, int, handle_event) {
      signal.lower();
      throw 42;
    });
    attached.require_until([&] { return calls >= 2 && lines.count(VIRT_UV_LOG_ERROR, "without a text") == 1; });
  }
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "the teapot is empty") == calls);
  CHECK(stats().exceptions == before + static_cast<uint64_t>(calls) + 1);
}

TEST_CASE("a closure removed by another's in the same iteration is not called") {
  Attached attached;
  Signal first, second;
  int calls = 0;
  Watch a, b;
  const auto call_one = [&](Watch &other) {
    return [&](int, int, handle_event) {
      ++calls;
      other.remove();
    };
  };
  a = Watch(first.get(), handle_event::readable, call_one(b));
  b = Watch(second.get(), handle_event::readable, call_one(a));
  attached.run_two_iterations();
  first.make_readable();
  second.make_readable();
  attached.run_two_iterations();
  CHECK(calls >= 1);
  CHECK(static_cast<bool>(a) != static_cast<bool>(b));
}

TEST_CASE("a closure removed by another thread is destroyed on the loop's thread") {
  Attached attached;
  std::thread::id destroyed_on;
  struct NotesThread {
    explicit NotesThread(std::thread::id &where) : where(&where) {}
    NotesThread(NotesThread &&other) noexcept : where(std::exchange(other.where, nullptr)) {}
    ~NotesThread() {
      if (where != nullptr) *where = std::this_thread::get_id();
    }
    std::thread::id *where;
  };
  Timeout timeout(1, [notes = NotesThread(destroyed_on)](int) {});
  std::thread other([&timeout] { timeout.remove(); });
  attached.require_until([&destroyed_on] { return destroyed_on != std::thread::id(); });
  other.join();
  CHECK(destroyed_on == std::this_thread::get_id());
}

TEST_CASE("a closure may add and its own destruction may remove") {
  Attached attached;
  int inner_calls = 0;
  Timeout outer(0, [&, inner = Timeout()](int) mutable {
    if (!inner) inner = Timeout(0, [&inner_calls](int) { ++inner_calls; });
  });
  attached.require_until([&inner_calls] { return inner_calls >= 2; });
  outer.remove();
  attached.require_until([] { return stats().timeouts + stats().frees_pending == 0; });
}

TEST_CASE("owners remove what they own and only once") {
  Attached attached;
  int destroyed = 0;
  const auto closure = [&destroyed] { return [counts = CountsDestruction(destroyed)](int) {}; };
  {
    Timeout first(-1, closure());
    const int id = first.id();
    Timeout second(std::move(first));
    CHECK(second.id() == id);
    CHECK_FALSE(first);
    CHECK(stats().timeouts == 1);
    second = Timeout(-1, closure());
    CHECK(second.id() != id);
    CHECK(stats().timeouts == 1);
  }
  CHECK(stats().timeouts == 0);
  attached.require_until([&destroyed] { return destroyed == 2; });
}

TEST_CASE("what is released is the caller's to remove") {
  Attached attached;
  int id = 0;
  {
    Timeout timeout(-1, [](int) {});
    id = timeout.release();
    CHECK_FALSE(timeout);
  }
  CHECK(stats().timeouts == 1);
  CHECK(virt_uv::remove_timeout(id) == 0);
}

TEST_CASE("owners update what they own") {
  Attached attached;
  Signal signal;
  int readable = 0, ticks = 0;
  Watch watch(signal.get(), handle_event::none, [&](int, int, handle_event) { ++readable; });
  Timeout timeout(-1, [&ticks](int) { ++ticks; });
  signal.make_readable();
  attached.run_two_iterations();
  CHECK(readable == 0);
  CHECK(ticks == 0);
  watch.update(handle_event::readable);
  timeout.update(0);
  attached.require_until([&] { return readable > 0 && ticks > 0; });
  watch.update(handle_event::none);
  timeout.update(-1);
  const int readable_then = readable, ticks_then = ticks;
  attached.run_two_iterations();
  CHECK(readable == readable_then);
  CHECK(ticks == ticks_then);
}

TEST_CASE("owners of nothing do nothing") {
  Attached attached;
  Watch watch;
  Timeout timeout;
  watch.update(handle_event::readable);
  timeout.update(0);
  watch.remove();
  timeout.remove();
  CHECK(watch.id() == 0);
  CHECK(timeout.release() == 0);
  CHECK(stats().watches + stats().timeouts == 0);
}

TEST_CASE("an interval is milliseconds or a duration, which is rounded up") {
  using namespace std::chrono_literals;
  CHECK(virt_uv::Interval(250).milliseconds() == 250);
  CHECK(virt_uv::Interval(-1).milliseconds() == -1);
  CHECK(virt_uv::Interval(2s).milliseconds() == 2000);
  CHECK(virt_uv::Interval(1us).milliseconds() == 1);
  CHECK(virt_uv::Interval(0.0015s).milliseconds() == 2);
  CHECK(virt_uv::Interval(0s).milliseconds() == 0);
  CHECK(virt_uv::Interval(-1ns).milliseconds() == -1);
  CHECK(virt_uv::Interval(std::chrono::milliseconds(2147483647)).milliseconds() == 2147483647);
  CHECK(error_of([] { virt_uv::Interval(25 * 24h); }) == virt_uv::make_uv_error(UV_EINVAL));
}

TEST_CASE("a timeout takes a duration where it is added and where it is updated") {
  using namespace std::chrono_literals;
  Attached attached;
  int calls = 0;
  Timeout timeout(1h, [&](int) { ++calls; });
  timeout.update(1ms);
  attached.require_until([&] { return calls >= 2; });
}
