// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The six functions called by other threads, while the loop sleeps, while it is in a callback, and while it runs.
//
// The scenario's own thread runs the loop; the others check nothing themselves, as Catch2 takes checks from one thread
// only.
#include <fcntl.h>
#include <sys/socket.h>

#include <mutex>
#include <thread>

#include "asleep.hpp"
#include "fds.hpp"
#include "masks.hpp"
#include "scenario.hpp"

using namespace conformance;

namespace {

constexpr int kHour = 3600 * 1000;

// Does `act` on another thread and waits for its end: called in a callback, it shows that `act` does not wait for that.
void on_another_thread(const std::function<void()> &act) { std::thread(act).join(); }

std::function<bool()> called(const Entry &entry) {
  return [&entry] { return entry.calls > 0; };
}

}  // namespace

CONFORMANCE("row 23: a timeout set to 0 by another thread wakes the sleeping loop") {
  Entry &timeout = world.add_timeout(-1);
  while_asleep(
      world, [&] { world.update(timeout, 0); }, called(timeout));
}

CONFORMANCE("row 23: a timeout flipped to 0 by another thread for each of many bursts fires each time") {
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(-1, [&](int) { world.update(*timeout, -1); });
  world.other_threads_decide();
  constexpr int kBursts = 300;
  for (int burst = 1; burst <= kBursts; ++burst) {
    std::thread other([&] { world.update(*timeout, 0); });
    world.wait_until([&] { return timeout->calls == burst; });
    other.join();
  }
}

CONFORMANCE("threads: a timeout made shorter by another thread wakes the sleeping loop") {
  Entry &timeout = world.add_timeout(kHour);
  while_asleep(
      world, [&] { world.update(timeout, 1); }, called(timeout));
}

CONFORMANCE("threads: a timeout added by another thread wakes the sleeping loop") {
  std::atomic<Entry *> timeout{nullptr};
  while_asleep(
      world, [&] { timeout = &world.add_timeout(0); },
      [&] { return timeout.load() != nullptr && timeout.load()->calls > 0; });
}

CONFORMANCE("threads: a watch added by another thread wakes the sleeping loop") {
  const int fd = make_readable(world);
  std::atomic<Entry *> watch{nullptr};
  while_asleep(
      world, [&] { watch = &world.add_handle(fd, R); },
      [&] { return watch.load() != nullptr && watch.load()->calls > 0; });
}

CONFORMANCE("row 6: what other threads enable again and again, and nobody reads, is called again and again") {
  for (const int mask : {R, R | W}) {
    const Ends ends = make_socketpair(world, SOCK_STREAM);
    Entry &watch = world.add_handle(ends.a, R);
    world.run_until_quiet();
    world.update(watch, 0);
    put(ends.b, 1);
    world.run_until_quiet();
    world.other_threads_decide();
    for (int round = 1; round <= 20; ++round) {
      on_another_thread([&] { world.update(watch, 0); });
      on_another_thread([&] { world.update(watch, mask); });
      world.wait_until([&] { return watch.calls >= 20 * round; });
    }
    world.remove(watch);
    world.run_until_quiet();
  }
}

CONFORMANCE("threads: a watch enabled by another thread wakes the sleeping loop") {
  for (const int fd : {make_readable(world), make_file(world, O_RDONLY)}) {
    Entry &watch = world.add_handle(fd, 0);
    while_asleep(
        world, [&] { world.update(watch, R); }, called(watch));
    world.remove(watch);
    world.run_until_quiet();
  }
}

CONFORMANCE("threads: a mask widened by another thread wakes the sleeping loop") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  Entry &watch = world.add_handle(pair.a, R);
  while_asleep(
      world, [&] { world.update(watch, R | W); }, called(watch));
}

CONFORMANCE("threads: a watch, or a timeout, removed by another thread is freed by the sleeping loop") {
  // One at a time: the wake-up for one would serve the other.
  for (Entry *entry : {&world.add_handle(make_pipe(world).a, R), &world.add_handle(make_readable(world), 0),
                       &world.add_timeout(kHour), &world.add_timeout(-1)}) {
    world.run_until_quiet();
    while_asleep(
        world, [&] { world.remove(*entry); }, [&] { return World::freed(*entry); });
  }
}

CONFORMANCE("row 13: a watch removed by another thread while the loop sleeps does not fire for what comes later") {
  const Ends pipe = make_pipe(world);
  Entry &watch = world.add_handle(pipe.a, R);
  while_asleep(
      world,
      [&] {
        world.remove(watch);
        put(pipe.b, 1);
      },
      [&] { return World::freed(watch); });
  CHECK(watch.calls == 0);
}

namespace {

// While the loop sleeps, another thread removes the watch and reuses its fd, in either order.
void reuse_while_asleep(World &world, bool removed_first) {
  const Ends pipe = make_pipe(world);
  Entry &old = world.add_handle(pipe.a, R);
  std::atomic<Entry *> reused{nullptr};
  while_asleep(
      world,
      [&] {
        if (removed_first) world.remove(old);
        world.close(pipe.a);
        const Ends pair = make_socketpair(world, SOCK_STREAM);
        put(pair.b, 1);
        if (!removed_first) world.remove(old);
        reused = &world.add_handle(pair.a, R | W);
      },
      [&] { return reused.load() != nullptr && reused.load()->calls > 0; });
  CHECK(old.calls == 0);
  CHECK(world.steady() == Calls{"w2 R|W"});
}

}  // namespace

CONFORMANCE("row 18: an fd that another thread removes, closes and reuses while the loop sleeps is another fd") {
  reuse_while_asleep(world, true);
}

CONFORMANCE(
    "row 18: an fd that another thread closes, reuses and only then removes, while the loop sleeps, is another fd") {
  reuse_while_asleep(world, false);
}

CONFORMANCE(
    "row 18: when another thread has removed and closed the fd, the peer sees the end with the next iteration") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  Entry &watch = world.add_handle(pair.a, R);
  Entry &peer = world.add_handle(pair.b, R);
  world.run_iteration();
  on_another_thread([&] {
    world.remove(watch);
    world.close(pair.a);
  });
  CHECK(world.run_iteration() == Calls{"w2 R|H"});
  world.remove(peer);
}

CONFORMANCE(
    "row 13: what another thread removes or masks during a callback does not fire any more, though it was ready") {
  for (const bool remove : {true, false}) {
    for (const bool file : {false, true}) {
      Entry *rivals[2];
      const auto stop_the_other = [&](int which) {
        Entry &other = *rivals[1 - which];
        if (other.calls > 0) return;
        on_another_thread([&] { remove ? static_cast<void>(world.remove(other)) : world.update(other, 0); });
      };
      for (int i : {0, 1}) {
        rivals[i] = &world.add_handle(file ? make_file(world, O_RDONLY) : make_readable(world), R, [&, i](int) {
          if (rivals[i]->calls == 1) stop_the_other(i);
        });
      }
      CHECK(world.turn_count() == 1);
      CHECK(world.turn_count() == 1);
      for (Entry *rival : rivals) {
        if (rival->state == Entry::State::kLive) world.remove(*rival);
      }
    }
  }
}

CONFORMANCE("row 17: ff may take the lock that another thread holds around its remove") {
  std::mutex lock;
  const auto take_lock = [&] { const std::lock_guard<std::mutex> held(lock); };
  for (Entry *entry :
       {&world.add_handle(make_readable(world), 0, {}, take_lock), &world.add_timeout(kHour, {}, take_lock)}) {
    world.run_until_quiet();
    while_asleep(
        world,
        [&] {
          const std::lock_guard<std::mutex> held(lock);
          world.remove(*entry);
        },
        [&] { return World::freed(*entry); });
  }
}

CONFORMANCE("row 14: a remove by another thread returns while the callback runs, and ff comes after that") {
  for (const bool timeout : {false, true}) {
    Entry *entry = nullptr;
    const auto removed_meanwhile = [&](int) {
      on_another_thread([&] { world.remove(*entry); });
      CHECK_FALSE(World::freed(*entry));
    };
    entry = timeout ? &world.add_timeout(0, removed_meanwhile)
                    : &world.add_handle(make_readable(world), R, removed_meanwhile);
    world.wait_until([&] { return World::freed(*entry); });
    CHECK(world.steady().empty());
    CHECK(entry->calls == 1);
  }
}

CONFORMANCE("row 14: no function waits for a callback that is running, be it a watch's or a timeout's") {
  const int fd = make_readable(world);
  for (const bool timeout : {false, true}) {
    Entry &other_watch = world.add_handle(fd, 0);
    Entry &other_timeout = world.add_timeout(-1);
    Entry *added[2];
    Entry *entry = nullptr;
    const auto all_functions = [&](int) {
      on_another_thread([&] {
        added[0] = &world.add_handle(fd, R);
        added[1] = &world.add_timeout(0);
        world.update(other_watch, R);
        world.update(other_timeout, 0);
        world.remove(*entry);
      });
    };
    entry = timeout ? &world.add_timeout(0, all_functions) : &world.add_handle(fd, R, all_functions);
    world.wait_until(called(*entry));
    CHECK(world.steady().size() == 4);
    CHECK(entry->calls == 1);
    for (Entry *left : {&other_watch, &other_timeout, added[0], added[1]}) {
      CHECK(left->calls > 0);
      world.remove(*left);
    }
  }
}

CONFORMANCE("row 14: no function waits for an ff that is running, be it a watch's or a timeout's") {
  const int fd = make_readable(world);
  for (const bool timeout : {false, true}) {
    Entry &other = world.add_handle(fd, 0);
    Entry &victim = world.add_timeout(-1);
    Entry *added = nullptr;
    const auto all_functions = [&] {
      on_another_thread([&] {
        added = &world.add_timeout(0);
        world.update(other, R);
        world.remove(victim);
      });
    };
    world.remove(timeout ? world.add_timeout(-1, {}, all_functions) : world.add_handle(fd, R, {}, all_functions));
    const Calls calls = world.steady();
    CHECK(calls == Calls{added->name, other.name + " R"});
    world.remove(*added);
    world.remove(other);
    world.run_until_quiet();
  }
}

CONFORMANCE("row 22: an update to 0 by another thread during the callback that disables itself is not lost") {
  for (const int interval : {0, 1}) {
    for (const int own_word : {-1, kHour}) {
      Entry *timeout = nullptr;
      timeout = &world.add_timeout(interval, [&](int) {
        world.update(*timeout, own_word);
        on_another_thread([&] { world.update(*timeout, 0); });
      });
      world.wait_until(called(*timeout));
      CHECK(world.steady() == Calls{timeout->name});
      world.remove(*timeout);
    }
  }
}

CONFORMANCE("row 22: an update to 0 by another thread during the callback of a repeating timeout is not lost") {
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(1, [&](int) { on_another_thread([&] { world.update(*timeout, 0); }); });
  world.wait_until(called(*timeout));
  CHECK(world.steady() == Calls{"t1"});
}

CONFORMANCE(
    "row 22: a timeout that disables itself after another thread's update to 0 is silent: the last word counts") {
  for (const int interval : {0, 1}) {
    Entry *timeout = nullptr;
    timeout = &world.add_timeout(interval, [&](int) {
      on_another_thread([&] { world.update(*timeout, 0); });
      world.update(*timeout, -1);
    });
    world.wait_until(called(*timeout));
    CHECK(world.steady().empty());
    CHECK(timeout->calls == 1);
  }
}

CONFORMANCE("row 8: a mask changed by another thread during the callback holds from then on") {
  Entry *masked = nullptr;
  masked =
      &world.add_handle(make_readable(world), R, [&](int) { on_another_thread([&] { world.update(*masked, 0); }); });
  CHECK(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.steady().empty());
  Entry *masked_for_a_moment = nullptr;
  masked_for_a_moment = &world.add_handle(make_readable(world), R, [&](int) {
    on_another_thread([&] {
      world.update(*masked_for_a_moment, 0);
      world.update(*masked_for_a_moment, R);
    });
  });
  CHECK(world.steady() == Calls{"w2 R"});
}

CONFORMANCE("threads: masked and unmasked by workers all the time, as by remote calls, a watch loses no wake-up") {
  world.other_threads_decide();
  constexpr int kPairs = 20000;
  std::vector<Entry *> watches;
  for (int i = 0; i < 2; ++i) watches.push_back(&world.add_handle(make_readable(world), R));
  std::atomic<int> at_work{2};
  std::vector<std::thread> workers;
  for (Entry *watch : watches) {
    workers.emplace_back([&world, &at_work, watch] {
      for (int pair = 0; pair < kPairs; ++pair) {
        world.update(*watch, 0);
        world.update(*watch, R);
      }
      --at_work;
    });
  }
  // The fds stay readable, so a loop that sleeps for good has lost one.
  world.wait_until([&] { return at_work == 0; });
  for (std::thread &worker : workers) worker.join();
  CHECK(world.steady() == Calls{"w1 R", "w2 R"});
}

CONFORMANCE(
    "threads: while the loop runs, others add, update and remove, and all is freed once, with no call behind its "
    "remove") {
  world.other_threads_decide();
  constexpr int kRounds = 2000;
  const int fd = make_readable(world);
  std::atomic<int> at_work{3};
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        Entry &watch = world.add_handle(fd, round % 3 == 0 ? 0 : R);
        Entry &timeout = world.add_timeout(round % 4 == 0 ? 0 : kHour);
        world.update(watch, R);
        world.update(timeout, round % 2 == 0 ? 0 : -1);
        world.remove(watch);
        world.remove(timeout);
      }
      --at_work;
    });
  }
  world.add_timeout(1);  // whatever the workers do, the loop wakes to see them end
  world.wait_until([&] { return at_work == 0; });
  for (std::thread &worker : workers) worker.join();
}

CONFORMANCE("threads: the loop may be turned by another thread than the one that registered it") {
  std::vector<std::string> violations;
  Calls calls;
  on_another_thread([&] {
    World elsewhere(world.loop(), world.scenario());
    elsewhere.add_handle(make_readable(elsewhere), R);
    elsewhere.add_timeout(0);
    calls = elsewhere.steady();
    elsewhere.finish();
    violations = elsewhere.violations();
  });
  CHECK(calls == Calls{"t1", "w1 R"});
  CHECK(violations.empty());
}
