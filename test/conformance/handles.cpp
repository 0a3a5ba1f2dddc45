// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Watches: ids, add, update and remove, from outside and from within callbacks.
//
// Where two watches are ready in one iteration either may be dispatched first, so scenarios of one that acts on the
// other are symmetrical: each would act on the other, and exactly one comes to it.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <set>

#include "fds.hpp"
#include "known.hpp"
#include "masks.hpp"
#include "scenario.hpp"

using namespace conformance;

namespace {

int make_readable_file(World &world) { return make_file(world, O_RDONLY); }

// What is ready by the loop's poll, and what no epoll takes.
constexpr int (*kReadables[])(World &) = {make_readable, make_readable_file};

// Two readable watches, each of which does `act` to the other at its first call.
struct Rivals {
  Entry *first;
  Entry *second;

  Rivals(World &world, const std::function<int(World &)> &make, std::function<void(Entry &other)> act) {
    first = &world.add_handle(make(world), R, [this, act](int) {
      if (first->calls == 1) act(*second);
    });
    second = &world.add_handle(make(world), R, [this, act](int) {
      if (second->calls == 1) act(*first);
    });
  }
  int calls() const { return first->calls + second->calls; }
};

}  // namespace

CONFORMANCE("row 1: ids are positive, and no two live watches and no two live timeouts share one") {
  const int fd = make_readable(world);
  std::set<int> watches;
  std::set<int> timeouts;
  for (int i = 0; i < 300; ++i) {
    const int watch = world.add_handle(fd, 0).id;
    const int timer = world.add_timeout(-1).id;
    REQUIRE(watch >= 1);
    REQUIRE(timer >= 1);
    REQUIRE(watches.insert(watch).second);
    REQUIRE(timeouts.insert(timer).second);
  }
}

CONFORMANCE("row 1: watches and timeouts are numbered apart: the functions of one never reach the other") {
  std::vector<Entry *> watches;
  std::vector<Entry *> timeouts;
  for (int i = 0; i < 20; ++i) {
    watches.push_back(&world.add_handle(make_readable(world), R));
    timeouts.push_back(&world.add_timeout(0));
  }
  for (Entry *timeout : timeouts) world.remove(*timeout);
  CHECK(world.steady().size() == watches.size());
  for (const Entry *watch : watches) {
    virEventUpdateTimeout(watch->id, -1);
    CHECK(virEventRemoveTimeout(watch->id) == -1);
  }
  CHECK(world.steady().size() == watches.size());
  for (Entry *watch : watches) world.remove(*watch);
  Entry &timeout = world.add_timeout(0);
  virEventUpdateHandle(timeout.id, 0);
  CHECK(virEventRemoveHandle(timeout.id) == -1);
  CHECK(world.steady() == Calls{timeout.name});
}

CONFORMANCE("row 1: a stale id never reaches another watch") {
  const int fd = make_readable(world);
  std::vector<int> stale;
  for (int i = 0; i < 2000; ++i) {
    Entry &gone = world.add_handle(fd, 0);
    stale.push_back(gone.id);
    world.remove(gone);
    if (i % 16 == 0) world.run_iteration();
  }
  Entry &live = world.add_handle(fd, R);
  for (const int id : stale) {
    virEventUpdateHandle(id, 0);
    CHECK(virEventRemoveHandle(id) == -1);
  }
  CHECK(world.run_iteration() == Calls{live.name + " R"});
}

CONFORMANCE("row 1: a stale id never reaches another timeout") {
  std::vector<int> stale;
  for (int i = 0; i < 2000; ++i) {
    Entry &gone = world.add_timeout(-1);
    stale.push_back(gone.id);
    world.remove(gone);
    if (i % 16 == 0) world.run_iteration();
  }
  Entry &live = world.add_timeout(0);
  for (const int id : stale) {
    virEventUpdateTimeout(id, -1);
    CHECK(virEventRemoveTimeout(id) == -1);
  }
  CHECK(world.steady() == Calls{live.name});
}

CONFORMANCE("row 2: add calls nothing back, though the fd is ready and the timeout due") {
  for (int i = 0; i < 100; ++i) {
    CHECK(world.add_handle(make_readable(world), R).calls == 0);
    CHECK(world.add_timeout(0).calls == 0);
  }
  CHECK(world.steady().size() == 200);
}

CONFORMANCE("rows 2, 19: add of an fd that is not open returns -1 and never calls ff") {
  const Ends pipe = make_pipe(world);
  world.close(pipe.a);
  const bool refuses = known_difference("refuses what is not open");
  for (const int fd : {pipe.a, -1}) {
    for (const int mask : kMasks) {
      INFO("fd " << fd << ", mask " << bits_text(mask));
      Entry &closed = world.add_handle(fd, mask);
      world.note(World::refused(closed) ? "refused" : "taken");
      CHECK(World::refused(closed) == refuses);
      world.run_until_quiet();
      CHECK(closed.calls == 0);
      if (!World::refused(closed)) CHECK(world.remove(closed) == 0);
    }
  }
}

CONFORMANCE("row 3: an fd watched several times, overlapping masks included, fires every matching watch") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  world.add_handle(pair.a, R);
  world.add_handle(pair.a, W);
  world.add_handle(pair.a, R | W);
  world.add_handle(pair.a, R);
  world.add_handle(pair.a, 0);
  CHECK(world.run_iteration() == Calls{"w2 W", "w3 W"});
  put(pair.b, 1);
  CHECK(world.run_iteration() == Calls{"w1 R", "w2 W", "w3 R|W", "w4 R"});
}

CONFORMANCE("row 3: of several watches on one fd each is masked and removed by itself") {
  const int fd = make_readable(world);
  Entry &first = world.add_handle(fd, R);
  Entry &second = world.add_handle(fd, R);
  Entry &third = world.add_handle(fd, R);
  CHECK(world.run_iteration() == Calls{"w1 R", "w2 R", "w3 R"});
  world.remove(first);
  CHECK(world.run_iteration() == Calls{"w2 R", "w3 R"});
  world.update(second, 0);
  CHECK(world.run_iteration() == Calls{"w3 R"});
  world.remove(third);
  CHECK(world.run_iteration().empty());
  world.update(second, R);
  CHECK(world.run_iteration() == Calls{"w2 R"});
}

CONFORMANCE("row 8: an event that is pending when another's callback masks the watch is dropped") {
  for (const auto &make : kReadables) {
    const Rivals rivals(world, make, [&](Entry &other) { world.update(other, 0); });
    CHECK(world.turn_count() == 1);
    CHECK(rivals.calls() == 1);
    CHECK(world.turn_count() == 1);
    for (Entry *rival : {rivals.first, rivals.second}) world.remove(*rival);
  }
}

CONFORMANCE("row 8: an event that is pending when another's callback changes the mask is judged by the new one") {
  Entry *watches[2];
  for (Entry *&watch : watches) {
    const Ends pair = make_socketpair(world, SOCK_STREAM);
    put(pair.b, 1);
    watch = &world.add_handle(pair.a, R, [&](int) {
      for (Entry *other : watches) {
        if (other != watch) world.update(*other, W);
      }
    });
  }
  // Which of the two comes first is open; a call with R after the update to W would be a violation.
  CHECK(world.steady() == Calls{"w1 W", "w2 W"});
}

CONFORMANCE("row 8: a watch that masks itself in its callback is silent from then on, and can be woken again") {
  Entry *watch = nullptr;
  watch = &world.add_handle(make_readable(world), R, [&](int) { world.update(*watch, 0); });
  CHECK(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.run_iteration().empty());
  world.update(*watch, R);
  CHECK(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.run_iteration().empty());
}

CONFORMANCE("row 8: masked and unmasked in its own callback, a watch goes on firing") {
  Entry *watch = nullptr;
  watch = &world.add_handle(make_readable(world), R, [&](int) {
    world.update(*watch, 0);
    world.update(*watch, R);
  });
  for (int again = 0; again < 5; ++again) CHECK(world.run_iteration() == Calls{"w1 R"});
}

CONFORMANCE("row 9: an update with the unchanged mask changes nothing") {
  Entry &watch = world.add_handle(make_readable(world), R);
  for (int again = 0; again < 5; ++again) {
    world.update(watch, R);
    CHECK(world.run_iteration() == Calls{"w1 R"});
  }
}

CONFORMANCE("row 9: an update with the unchanged mask loses no event that is pending") {
  const Rivals rivals(world, make_readable, [&](Entry &other) { world.update(other, R); });
  CHECK(world.run_iteration() == Calls{"w1 R", "w2 R"});
}

CONFORMANCE("row 10: an update of an id that does not exist is silently ignored") {
  Entry &watch = world.add_handle(make_readable(world), R);
  Entry &timeout = world.add_timeout(0);
  for (const int id : {-1, 0, INT_MIN, INT_MAX, watch.id + 1000, timeout.id + 1000}) {
    virEventUpdateHandle(id, R | W);
    virEventUpdateHandle(id, 0);
    virEventUpdateTimeout(id, 0);
    virEventUpdateTimeout(id, -1);
  }
  CHECK(world.steady() == Calls{"t1", "w1 R"});
}

CONFORMANCE("row 10: an update after the remove, before ff, re-arms nothing") {
  Entry &watch = world.add_handle(make_readable(world), R);
  Entry &timeout = world.add_timeout(0);
  CHECK(world.steady() == Calls{"t1", "w1 R"});
  world.remove(watch);
  world.remove(timeout);
  virEventUpdateHandle(watch.id, R | W);
  virEventUpdateTimeout(timeout.id, 0);
  CHECK(world.steady().empty());
}

CONFORMANCE("row 10: an update after the remove, within the own callback, re-arms nothing") {
  const auto removed_and_updated = [&](Entry &entry, int wanted) {
    world.remove(entry);
    entry.is_timeout ? virEventUpdateTimeout(entry.id, wanted) : virEventUpdateHandle(entry.id, wanted);
    CHECK_FALSE(World::freed(entry));
  };
  Entry *watch = nullptr;
  Entry *timeout = nullptr;
  watch = &world.add_handle(make_readable(world), R, [&](int) { removed_and_updated(*watch, R | W); });
  timeout = &world.add_timeout(0, [&](int) { removed_and_updated(*timeout, 0); });
  CHECK(world.steady().empty());
  CHECK(watch->calls == 1);
  CHECK(timeout->calls == 1);
}

CONFORMANCE("row 11: a remove of an id that does not exist returns -1") {
  for (const int id : {-1, 0, INT_MIN, INT_MAX, 123456}) {
    CHECK(virEventRemoveHandle(id) == -1);
    CHECK(virEventRemoveTimeout(id) == -1);
  }
}

CONFORMANCE("row 11: a second remove returns -1, before ff and after it") {
  for (Entry *entry : {&world.add_handle(make_readable(world), R), &world.add_timeout(0)}) {
    CHECK(world.remove(*entry) == 0);
    CHECK(world.remove(*entry) == -1);
    world.wait_until([&] { return World::freed(*entry); });
    CHECK(world.remove(*entry) == -1);
  }
}

CONFORMANCE("row 11: removing a disabled watch and a disabled timeout succeeds, and frees them") {
  Entry &never_enabled = world.add_handle(make_readable(world), 0);
  Entry &masked = world.add_handle(make_readable(world), R);
  Entry &disabled = world.add_timeout(-1);
  world.run_iteration();
  world.update(masked, 0);
  world.run_iteration();
  for (Entry *entry : {&never_enabled, &masked, &disabled}) CHECK(world.remove(*entry) == 0);
  world.run_iteration();
  for (Entry *entry : {&never_enabled, &masked, &disabled}) CHECK(World::freed(*entry));
}

CONFORMANCE("row 12: a watch that removes itself in its callback is called no more, and freed after the callback") {
  Entry *watch = nullptr;
  watch = &world.add_handle(make_readable(world), R, [&](int) {
    CHECK(world.remove(*watch) == 0);
    CHECK_FALSE(World::freed(*watch));
  });
  CHECK(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.run_iteration().empty());
  CHECK(World::freed(*watch));
}

CONFORMANCE("row 12: a watch replaces itself in its callback, as one that is removed and added anew") {
  const int fd = make_readable(world);
  Entry *watch = nullptr;
  watch = &world.add_handle(fd, R, [&](int) {
    world.remove(*watch);
    world.add_handle(fd, R);
  });
  CHECK(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.run_iteration() == Calls{"w2 R"});
}

CONFORMANCE("row 12: a watch that closes its fd and removes itself in its callback is gone cleanly") {
  const Ends pipe = make_pipe(world);
  put(pipe.b, 1);
  Entry *watch = nullptr;
  watch = &world.add_handle(pipe.a, R, [&](int) {
    world.close(pipe.a);
    world.remove(*watch);
  });
  CHECK(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.run_iteration().empty());
  CHECK(poll_truth(pipe.b, W) == (W | E));
}

CONFORMANCE("row 13: a watch that another's callback removes in the same iteration does not fire") {
  for (const auto &make : kReadables) {
    const Rivals rivals(world, make, [&](Entry &other) { world.remove(other); });
    CHECK(world.turn_count() == 1);
    CHECK(rivals.calls() == 1);
    CHECK(world.turn_count() == 1);
    world.remove(rivals.first->calls > 0 ? *rivals.first : *rivals.second);
  }
}

CONFORMANCE("row 13: one callback removes all others that are ready, and none of them fires") {
  std::vector<Entry *> watches;
  for (int i = 0; i < 50; ++i) {
    watches.push_back(&world.add_handle(make_readable(world), R, [&, i](int) {
      for (Entry *other : watches) {
        if (other != watches[static_cast<std::size_t>(i)] && other->state == Entry::State::kLive) world.remove(*other);
      }
    }));
  }
  CHECK(world.turn_count() == 1);
  CHECK(world.turn_count() == 1);
}

CONFORMANCE("row 13: a timeout that another's callback removes does not fire any more") {
  Entry *timeouts[2];
  for (Entry *&timeout : timeouts) {
    timeout = &world.add_timeout(0, [&](int) {
      for (Entry *other : timeouts) {
        if (other != timeout && other->state == Entry::State::kLive) world.remove(*other);
      }
    });
  }
  world.run_until_quiet();
  CHECK(world.turn_count() == 1);
  CHECK((timeouts[0]->calls == 0 || timeouts[1]->calls == 0));
}

CONFORMANCE("row 13: a watch's callback removes a timeout, and a timeout's a watch, and neither fires any more") {
  Entry *watch = nullptr;
  Entry *timeout = &world.add_timeout(0, [&](int) {
    if (watch->state == Entry::State::kLive) world.remove(*watch);
  });
  watch = &world.add_handle(make_readable(world), R, [&](int) {
    if (timeout->state == Entry::State::kLive) world.remove(*timeout);
  });
  world.run_until_quiet();
  CHECK(world.turn_count() == 1);
  CHECK((watch->calls == 0 || timeout->calls == 0));
}

CONFORMANCE("row 15: a watch added in a callback fires from the next iteration on") {
  // A regular file is no business of epoll's, and its callback may come from elsewhere.
  for (const auto &make : kReadables) {
    for (const auto &make_added : kReadables) {
      const int added = make_added(world);
      Entry *first = nullptr;
      Entry *second = nullptr;
      first = &world.add_handle(make(world), R, [&](int) {
        if (second == nullptr) second = &world.add_handle(added, R);
      });
      CHECK(world.run_iteration() == Calls{first->name + " R"});
      REQUIRE(second != nullptr);
      CHECK(world.run_iteration() == Calls{first->name + " R", second->name + " R"});
      world.remove(*first);
      world.remove(*second);
    }
  }
}

CONFORMANCE("row 18: an fd closed right after the remove and reused at once is another fd") {
  Entry &old = world.add_handle(make_readable(world), R);
  CHECK(world.run_iteration() == Calls{"w1 R"});
  const int number = old.fd;
  world.remove(old);
  world.close(number);
  const Ends pipe = make_pipe(world);
  REQUIRE(pipe.a == number);
  Entry &reused = world.add_handle(pipe.a, R);
  CHECK(world.run_iteration().empty());
  put(pipe.b, 1);
  CHECK(world.run_iteration() == Calls{"w2 R"});
  CHECK(old.calls == 1);
  CHECK(reused.calls == 1);
}

CONFORMANCE("row 18: an fd closed before the remove, and reused before it too, is another fd") {
  Entry &old = world.add_handle(make_readable(world), R);
  CHECK(world.run_iteration() == Calls{"w1 R"});
  const int number = old.fd;
  world.close(number);
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  REQUIRE(pair.a == number);
  Entry &reused = world.add_handle(pair.a, R | W);
  CHECK(world.remove(old) == 0);
  CHECK(world.run_iteration() == Calls{"w2 W"});
  put(pair.b, 1);
  CHECK(world.run_iteration() == Calls{"w2 R|W"});
  CHECK(old.calls == 1);
  CHECK(reused.calls == 2);
}

CONFORMANCE("row 18: the peer sees the end as soon as a callback has removed the watch and closed the fd") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  put(pair.b, 1);
  Entry *watch = nullptr;
  watch = &world.add_handle(pair.a, R, [&](int) {
    drain(pair.a);
    world.remove(*watch);
    world.close(pair.a);
    CHECK(poll_truth(pair.b, R) == (R | H));
  });
  CHECK(world.run_iteration() == Calls{"w1 R"});
}

CONFORMANCE("row 18: the peer sees the end as soon as the fd is removed and closed outside callbacks") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  Entry &watch = world.add_handle(pair.a, R);
  world.run_iteration();
  world.remove(watch);
  world.close(pair.a);
  CHECK(poll_truth(pair.b, R) == (R | H));
  CHECK(world.run_iteration().empty());
}

CONFORMANCE("row 18: the peer sees the end at once, too, when a callback has just changed the mask") {
  for (const int wanted : {W, R | W, 0, E}) {
    const Ends pair = make_socketpair(world, SOCK_STREAM);
    put(pair.b, 1);
    Entry *watch = nullptr;
    watch = &world.add_handle(pair.a, R, [&](int) { world.update(*watch, wanted); });
    CHECK(world.run_iteration().size() == 1);
    drain(pair.a);
    world.remove(*watch);
    world.close(pair.a);
    CHECK(poll_truth(pair.b, R) == (R | H));
    CHECK(world.run_iteration().empty());
  }
}

CONFORMANCE("row 18: removed outside callbacks and not closed, a ready fd is silent, and another watch of it goes on") {
  const Ends pair = make_socketpair(world, SOCK_STREAM);
  put(pair.b, 1);
  Entry &removed = world.add_handle(pair.a, R);
  Entry &stays = world.add_handle(pair.a, R);
  CHECK(world.run_iteration().size() == 2);
  world.remove(removed);
  CHECK(world.run_iteration() == Calls{"w2 R"});
  world.remove(stays);
  CHECK(world.run_iteration().empty());
  Entry &nap = world.add_timeout(1);
  CHECK(world.wait_until([&] { return nap.calls > 0; }) < 50);
}

CONFORMANCE("row 18: fds that come and go under the same number for a while are never mistaken for each other") {
  for (int i = 0; i < 200; ++i) {
    const Ends pair = make_socketpair(world, SOCK_STREAM);
    if (i % 2 == 0) put(pair.b, 1);
    Entry &watch = world.add_handle(pair.a, R);
    const Calls expected = i % 2 == 0 ? Calls{watch.name + " R"} : Calls{};
    REQUIRE(world.run_iteration() == expected);
    if (i % 3 == 0) world.close(pair.a);
    world.remove(watch);
    if (i % 3 != 0) world.close(pair.a);
    world.close(pair.b);
  }
}

CONFORMANCE("row 19: a loop whose watched fd was closed goes on sleeping") {
  const Ends pipe = make_pipe(world);
  Entry &watch = world.add_handle(pipe.a, R);
  world.run_iteration();
  world.close(pipe.a);
  // Several naps: on a busy machine a loop may get to spin in few of them.
  int most_iterations = 0;
  for (int naps = 0; naps < 10; ++naps) {
    Entry &nap = world.add_timeout(20);
    most_iterations = std::max(most_iterations, world.wait_until([&] { return nap.calls > 0; }));
    world.remove(nap);
  }
  CAPTURE(most_iterations);
  CHECK((most_iterations > 20) == known_difference("spins on a closed fd"));
  CHECK(watch.calls == 0);
  CHECK(world.remove(watch) == 0);
}

CONFORMANCE("row 19: a watch whose fd was closed shows what happens to the file for as long as it stays") {
  const Ends pipe = make_pipe(world);
  world.add_handle(pipe.a, R);
  world.run_iteration();
  world.close(pipe.a);
  const bool keeps_open = known_difference("keeps the file open");
  if (poll_truth(pipe.b, W) == W) put(pipe.b, 1);
  CHECK(world.run_iteration() == (keeps_open ? Calls{"w1 R"} : Calls{}));
}

CONFORMANCE("registration: a second event loop is not taken, and calls go on to reach the first") {
  static bool reached;
  reached = false;
  virEventRegisterImpl([](int, int, virEventHandleCallback, void *, virFreeCallback) { return reached = true, -1; },
                       [](int, int) { reached = true; }, [](int) { return reached = true, -1; },
                       [](int, virEventTimeoutCallback, void *, virFreeCallback) { return reached = true, -1; },
                       [](int, int) { reached = true; }, [](int) { return reached = true, -1; });
  Entry &watch = world.add_handle(make_readable(world), R);
  Entry &timeout = world.add_timeout(0);
  CHECK(world.steady() == Calls{"t1", "w1 R"});
  world.update(watch, 0);
  world.update(timeout, -1);
  world.remove(watch);
  world.remove(timeout);
  CHECK_FALSE(reached);
}
