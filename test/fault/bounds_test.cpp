// SPDX-License-Identifier: LGPL-2.1-or-later
//
// No lock of the library is held for longer than one bounded batch of work, however much is registered.
//
// Time is not asked. The functions by which the library locks are interposed, as in locks_test.cpp, and so are those
// that it calls for each watch and its operator new: what is counted is how often it locks, and how much it does while
// it holds a lock.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdlib>
#include <ctime>
#include <new>
#include <vector>

#include "caller.h"
#include "host.hpp"
#include "pipes.hpp"
#include "scale.hpp"

namespace {

// One batch, as doc/threads.md has it: a chunk of 256 slots, with at most four calls for each of them; a chunk's memory
// at most is allocated with the lock held.
constexpr long kBatch = 256;
constexpr long kCallsOfBatch = 4 * kBatch;
constexpr std::size_t kBytesOfBatch = kBatch * 128;

struct Counts {
  long holds = 0;              // locks taken
  long calls = 0;              // calls made with one held
  long most_calls = 0;         // of these, within one hold
  std::size_t most_bytes = 0;  // allocated within one hold
};

// The test runs one thread.
Counts counts;
int held = 0;
long calls_of_hold = 0;
std::size_t bytes_of_hold = 0;
bool memory_fails = false;
std::atomic<std::int64_t> clock_ahead_s{0};

template <typename Fn>
Fn *next(const char *name) {
  return reinterpret_cast<Fn *>(dlsym(RTLD_NEXT, name));
}

void count_call() {
  if (held == 0) return;
  ++counts.calls;
  counts.most_calls = std::max(counts.most_calls, ++calls_of_hold);
}

// What `run` did.
template <typename Run>
Counts counted(Run &&run) {
  counts = {};
  run();
  return counts;
}

}  // namespace

extern "C" int pthread_mutex_lock(pthread_mutex_t *mutex) noexcept {
  static auto *const real = next<int(pthread_mutex_t *)>("pthread_mutex_lock");
  const int err = real(mutex);
  if (!is_in_library(CALLER)) return err;
  ++counts.holds;
  if (held++ == 0) calls_of_hold = 0, bytes_of_hold = 0;
  return err;
}

// Its caller cannot be told: as a function's last call it may be a jump. Only the library unlocks while it holds one.
extern "C" int pthread_mutex_unlock(pthread_mutex_t *mutex) noexcept {
  static auto *const real = next<int(pthread_mutex_t *)>("pthread_mutex_unlock");
  if (held > 0) --held;
  return real(mutex);
}

extern "C" void uv_close(uv_handle_t *handle, uv_close_cb cb) {
  static auto *const real = next<void(uv_handle_t *, uv_close_cb)>("uv_close");
  count_call();
  real(handle, cb);
}

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event *event) noexcept {
  static auto *const real = next<int(int, int, int, epoll_event *)>("epoll_ctl");
  count_call();
  return real(epoll, operation, fd, event);
}

extern "C" int close(int fd) {
  static auto *const real = next<int(int)>("close");
  count_call();
  return real(fd);
}

extern "C" int fcntl(int fd, int command, ...) {
  static auto *const real = next<int(int, int, ...)>("fcntl");
  va_list arguments;
  va_start(arguments, command);
  void *const argument = va_arg(arguments, void *);
  va_end(arguments);
  count_call();
  return real(fd, command, argument);
}

extern "C" int clock_gettime(clockid_t clock, timespec *ret) noexcept {
  static auto *const real = next<int(clockid_t, timespec *)>("clock_gettime");
  const int err = real(clock, ret);
  ret->tv_sec += clock_ahead_s;
  return err;
}

namespace {

void *allocate(std::size_t size, std::size_t alignment, std::uintptr_t caller) noexcept {
  if (memory_fails && is_in_library(caller)) return nullptr;
  if (held > 0) {
    bytes_of_hold += size;
    counts.most_bytes = std::max(counts.most_bytes, bytes_of_hold);
  }
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

}  // namespace

void *operator new(std::size_t size) {
  void *memory = allocate(size, alignof(std::max_align_t), CALLER);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void *operator new(std::size_t size, const std::nothrow_t &) noexcept {
  return allocate(size, alignof(std::max_align_t), CALLER);
}
void *operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t &) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment), CALLER);
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

constexpr int kAnHourMs = 3600 * 1000;

void no_event(int, int, int, void *) {}
void count(void *opaque) { ++*static_cast<long *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }
void no_entry(const virt_uv_entry *, void *) {}

// Whatever was done, no hold was longer than a batch.
void check_bounded(const Counts &done) {
  CHECK(done.most_calls <= kCallsOfBatch);
  CHECK(done.most_bytes <= kBytesOfBatch);
}

long poll_handles(Loop &loop) {
  long found = 0;
  uv_walk(
      loop.get(),
      [](uv_handle_t *handle, void *opaque) {
        if (uv_handle_get_type(handle) == UV_POLL && uv_is_closing(handle) == 0) ++*static_cast<long *>(opaque);
      },
      &found);
  return found;
}

// As many watches of one eventfd as the process may have fds, up to 19,000.
class Watches {
 public:
  Watches() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit most{before_.rlim_max, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &most) == 0);
    const std::size_t wanted = std::min<std::uint64_t>(scaled(19'000), 19'000);
    const std::size_t spare = 200;  // the loop's own, and a few
    ids_.resize(std::min<std::size_t>(wanted, most.rlim_cur - spare));
    for (int &id : ids_) id = virt_uv_add_handle(signal_.get(), 1, no_event, &freed_, count);
    REQUIRE(*std::min_element(ids_.begin(), ids_.end()) >= 1);
  }
  ~Watches() { setrlimit(RLIMIT_NOFILE, &before_); }

  void remove() {
    CHECK(std::all_of(ids_.begin(), ids_.end(), [](int id) { return virt_uv_remove_handle(id) == 0; }));
  }
  long number() const { return static_cast<long>(ids_.size()); }
  long freed() const { return freed_; }
  // At least so many batches are needed for all of them.
  long batches() const { return number() / kBatch; }

  // An iteration opens some of the handles only.
  void arm(Loop &loop) {
    CHECK(loop.run_until([&] { return poll_handles(loop) > number(); }));  // the library has another
  }

 private:
  rlimit before_;
  Signal signal_;
  std::vector<int> ids_;
  long freed_ = 0;
};

class Timeouts {
 public:
  Timeouts(long number, int frequency) : ids_(static_cast<std::size_t>(number)) {
    for (int &id : ids_) id = virt_uv_add_timeout(frequency, count_timeout, &fired_, nullptr);
    REQUIRE(*std::min_element(ids_.begin(), ids_.end()) >= 1);
  }
  void update(int frequency) {
    for (const int id : ids_) virt_uv_update_timeout(id, frequency);
  }
  void remove() {
    CHECK(std::all_of(ids_.begin(), ids_.end(), [](int id) { return virt_uv_remove_timeout(id) == 0; }));
  }
  long fired() const { return fired_; }

 private:
  std::vector<int> ids_;
  long fired_ = 0;
};

long a_million() { return static_cast<long>(std::min<std::uint64_t>(scaled(1'000'000), 1'000'000)); }

}  // namespace

// First: a queue that has grown once keeps its memory.
TEST_CASE("timeouts that wait for memory are looked at again one by one") {
  const long number = a_million() / 10;
  Host host;
  Counts done = counted([&] {
    Timeouts timeouts(number, kAnHourMs);
    memory_fails = true;
    host.loop.run_iterations(1);
    memory_fails = false;
    CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot be started") >= 1);
    timeouts.update(0);
    counts.holds = 0;
    CHECK(host.loop.run_until([&] { return timeouts.fired() >= number; }));
    CHECK(counts.holds >= number / 2);
    timeouts.remove();
    CHECK(drain(host.loop));
  });
  check_bounded(done);
}

TEST_CASE("with many watches no lock is held for longer than a batch: walk, a drain's look, detach, free") {
  Host host;
  Watches watches;
  check_bounded(counted([&] { watches.arm(host.loop); }));

  const Counts walk = counted([&] { CHECK(virt_uv_walk(no_entry, nullptr) == watches.number()); });
  CHECK(walk.holds >= watches.batches());
  check_bounded(walk);

  long drained = 0;
  REQUIRE(virt_uv_drain(count, &drained) == 0);
  host.loop.run_iterations(1);
  clock_ahead_s += 6;
  const Counts look = counted([&] { host.loop.run_iterations(2); });
  CHECK(host.lines.count(VIRT_UV_LOG_WARN, "a drain has waited") == 1);
  CHECK(look.calls >= watches.number());  // else it was not seen
  check_bounded(look);

  long detached = 0;
  const Counts detach = counted([&] {
    CHECK(virt_uv_detach(count, &detached) == 0);
    CHECK(host.loop.run_until([&] { return detached == 1; }));
  });
  CHECK(detach.calls >= watches.number());
  check_bounded(detach);

  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  check_bounded(counted([&] { watches.arm(host.loop); }));
  watches.remove();
  const Counts frees =
      counted([&] { CHECK(host.loop.run_until([&] { return watches.freed() == watches.number(); })); });
  CHECK(frees.holds >= watches.number());
  CHECK(frees.most_calls <= 8);
  CHECK(host.loop.run_until([&] { return drained == 1; }));
}

TEST_CASE("a loop with many watches, whose handles the host has closed, is given up in batches") {
  Host host;
  Watches watches;
  watches.arm(host.loop);
  uv_walk(
      host.loop.get(),
      [](uv_handle_t *handle, void *) {
        if (uv_handle_get_type(handle) == UV_TIMER) uv_close(handle, nullptr);
      },
      nullptr);
  const Counts given_up = counted([&] { CHECK(virt_uv_detach(nullptr, nullptr) == UV_ECONNABORTED); });
  CHECK(given_up.calls >= watches.number());
  check_bounded(given_up);
  host.loop.run_iterations(2);
  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  watches.remove();
  CHECK(drain(host.loop));
}

TEST_CASE("with a million timeouts no lock is held for longer than one of them, or a batch of a walk, takes") {
  const long number = a_million();
  Host host;
  Counts done = counted([&] {
    Timeouts timeouts(number, kAnHourMs);
    counts.holds = 0;
    host.loop.run_iterations(1);
    CHECK(counts.holds >= number);  // each has been put into the heap by itself
    CHECK(virt_uv_walk(no_entry, nullptr) == number);
    counts.holds = 0;
    clock_ahead_s += 2 * kAnHourMs / 1000;
    host.loop.run_iterations(2);
    CHECK(timeouts.fired() == number);
    CHECK(counts.holds >= number);
    timeouts.update(0);
    host.loop.run_iterations(2);
    CHECK(timeouts.fired() >= 2 * number);
    timeouts.remove();
    counts.holds = 0;
    CHECK(drain(host.loop));
    CHECK(counts.holds >= 2 * number);  // taken out of the queues, and freed
  });
  check_bounded(done);
  CHECK(done.most_calls <= 1);
  done = counted([&] { CHECK(virt_uv_walk(no_entry, nullptr) == 0); });
  CHECK(done.holds <= 2 * (1 << 12));  // one for each chunk, in use or not
  done = counted([&] { host.loop.run_iterations(100); });
  CHECK(done.holds == 0);
}
