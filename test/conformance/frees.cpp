// SPDX-License-Identifier: LGPL-2.1-or-later
//
// `ff`: once, last, on the loop's thread, on a clean stack, with no lock held. That much is judged in every scenario
// (support/contract.hpp); here is what callers do in it, and to it.
#include <pthread.h>
#include <sys/socket.h>

#include "fds.hpp"
#include "known.hpp"
#include "masks.hpp"
#include "scenario.hpp"

using namespace conformance;

namespace {

constexpr int kManyTurns = 200;

// As libvirt's: not recursive, and a second lock by its owner is told.
class Lock {
 public:
  Lock() {
    pthread_mutexattr_t checking;
    pthread_mutexattr_init(&checking);
    pthread_mutexattr_settype(&checking, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&mutex_, &checking);
    pthread_mutexattr_destroy(&checking);
  }
  ~Lock() { pthread_mutex_destroy(&mutex_); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;
  bool lock() { return pthread_mutex_lock(&mutex_) == 0; }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

bool freed_within(World &world, const Entry &entry, int iterations) {
  for (int i = 0; i < iterations && !World::freed(entry); ++i) world.run_iteration();
  return World::freed(entry);
}

}  // namespace

CONFORMANCE("row 16: a thousand watches and timeouts, removed in every state, are each freed once") {
  std::vector<Entry *> entries;
  for (int i = 0; i < 500; ++i) {
    entries.push_back(&world.add_handle(make_readable(world), i % 2 == 0 ? R : 0));
    entries.push_back(&world.add_timeout(i % 3 - 1));
    if (i % 100 == 0) world.run_until_quiet();
  }
  for (Entry *entry : entries) world.remove(*entry);
  world.steady();
  for (const Entry *entry : entries) REQUIRE(entry->frees == 1);
}

CONFORMANCE("row 16: at every moment what was added is either freed, once, or live") {
  std::vector<Entry *> entries;
  for (int i = 0; i < 120; ++i) {
    entries.push_back(i % 2 == 0 ? &world.add_handle(make_readable(world), R) : &world.add_timeout(0));
  }
  // Where nothing is ready, no loop's frees have to wait (row 24).
  const auto enable_what_lives = [&](bool enabled) {
    for (Entry *entry : entries) {
      if (entry->state != Entry::State::kLive) continue;
      world.update(*entry, entry->is_timeout ? (enabled ? 0 : -1) : (enabled ? R : 0));
    }
  };
  std::size_t live = entries.size();
  for (const std::size_t first : {0, 1, 2}) {
    for (std::size_t i = first; i < entries.size(); i += 3, --live) world.remove(*entries[i]);
    CHECK(world.steady().size() == live);
    enable_what_lives(false);
    CHECK(world.steady().empty());
    for (const Entry *entry : entries) REQUIRE(entry->frees == (entry->state == Entry::State::kLive ? 0 : 1));
    enable_what_lives(true);
    CHECK(world.steady().size() == live);
  }
}

CONFORMANCE("row 16: what is added and removed before the loop runs is freed too") {
  Entry &watch = world.add_handle(make_readable(world), R);
  Entry &timeout = world.add_timeout(0);
  world.remove(watch);
  world.remove(timeout);
  CHECK(world.steady().empty());
  CHECK(World::freed(watch));
  CHECK(World::freed(timeout));
}

CONFORMANCE("row 16: a watch and a timeout without ff are removed like others") {
  const auto on_watch = [](int, int, int, void *calls) { ++*static_cast<int *>(calls); };
  const auto on_timeout = [](int, void *calls) { ++*static_cast<int *>(calls); };
  int calls = 0;
  const int watch = virEventAddHandle(make_readable(world), R, on_watch, &calls, nullptr);
  const int timer = virEventAddTimeout(0, on_timeout, &calls, nullptr);
  for (int i = 0; i < 3; ++i) world.run_iteration();
  CHECK(calls >= 3);
  CHECK(virEventRemoveHandle(watch) == 0);
  CHECK(virEventRemoveTimeout(timer) == 0);
  calls = 0;
  CHECK(world.steady().empty());
  CHECK(calls == 0);
}

CONFORMANCE("row 16: ff may add, update and remove, and what it adds fires") {
  const int fd = make_readable(world);
  for (const bool timeout : {false, true}) {
    Entry &bystander = world.add_handle(fd, 0);
    Entry &victim = world.add_timeout(-1);
    Entry *added[2];
    const auto all_functions = [&] {
      added[0] = &world.add_timeout(0);
      added[1] = &world.add_handle(fd, R);
      world.update(bystander, R);
      world.remove(victim);
    };
    world.remove(timeout ? world.add_timeout(0, {}, all_functions) : world.add_handle(fd, R, {}, all_functions));
    const Calls calls = world.steady();
    CHECK(calls == Calls{added[0]->name, bystander.name + " R", added[1]->name + " R"});
    for (Entry *left : {added[0], added[1], &bystander}) world.remove(*left);
    world.run_until_quiet();
  }
}

CONFORMANCE("row 16: an ff that removes another gets that one freed as well") {
  Entry &last = world.add_handle(make_readable(world), R);
  Entry &middle = world.add_handle(make_readable(world), R, {}, [&] { world.remove(last); });
  Entry &first = world.add_handle(make_readable(world), R, {}, [&] { world.remove(middle); });
  world.remove(first);
  CHECK(world.steady().empty());
  CHECK(World::freed(last));
}

CONFORMANCE("row 16: ff may close the fd that was watched, as libvirt's sockets do") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  Entry &watch = world.add_handle(pair.a, R, {}, [&] { world.close(pair.a); });
  world.run_iteration();
  world.remove(watch);
  CHECK(world.steady().empty());
  CHECK(poll_truth(pair.b, R) == (R | H));
}

CONFORMANCE("row 16: a removed watch is freed while other watches stay ready") {
  Entry &busy = world.add_handle(make_readable(world), R);
  Entry &removed = world.add_handle(make_readable(world), R);
  world.run_iteration();
  world.remove(removed);
  CHECK(freed_within(world, removed, kManyTurns));
  CHECK(busy.calls > 1);
}

CONFORMANCE("row 17: ff may take the lock that the caller of remove holds") {
  Lock lock;
  bool got_it = false;
  Entry &watch = world.add_handle(make_readable(world), R, {}, [&] {
    got_it = lock.lock();
    if (got_it) lock.unlock();
  });
  world.run_iteration();
  REQUIRE(lock.lock());
  world.remove(watch);
  CHECK_FALSE(World::freed(watch));
  lock.unlock();
  world.run_iteration();
  CHECK(got_it);
}

CONFORMANCE("row 17: ff may take the lock that a callback holds while it removes itself") {
  Lock lock;
  bool got_it = false;
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(
      0,
      [&](int) {
        CHECK(lock.lock());
        world.remove(*timeout);
        lock.unlock();
      },
      [&] {
        got_it = lock.lock();
        if (got_it) lock.unlock();
      });
  world.steady();
  CHECK(got_it);
}

CONFORMANCE("row 24: a timeout of 0 starves no fd") {
  world.add_timeout(0);
  world.add_handle(make_readable(world), R);
  world.steady();
  for (int again = 0; again < 20; ++again) CHECK(world.run_iteration() == Calls{"t1", "w1 R"});
}

CONFORMANCE("row 24: a timeout of 0 starves no other timeout") {
  world.add_timeout(0);
  Entry &other = world.add_timeout(1);
  world.wait_until([&] { return other.calls >= 3; });
}

CONFORMANCE("row 24: while a timeout of 0 runs, a removed watch is freed") {
  world.add_timeout(0);
  Entry &removed = world.add_handle(make_readable(world), R);
  world.steady();
  world.remove(removed);
  CHECK(freed_within(world, removed, kManyTurns));
}

CONFORMANCE("row 24: while a timeout of 0 runs, a removed timeout is freed") {
  world.add_timeout(0);
  Entry &removed = world.add_timeout(-1);
  world.steady();
  world.remove(removed);
  CHECK(freed_within(world, removed, kManyTurns) != known_difference("starves frees"));
}

CONFORMANCE("rows 16, 24: while a watch stays ready, a removed timeout is freed") {
  world.add_handle(make_readable(world), R);
  Entry &removed = world.add_timeout(-1);
  world.steady();
  world.remove(removed);
  CHECK(freed_within(world, removed, kManyTurns) != known_difference("starves frees"));
}
