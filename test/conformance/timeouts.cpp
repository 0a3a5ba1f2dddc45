// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Timeouts: what the frequency means, and when a change of it takes hold.
//
// No scenario says that something is quick. What is promised of time is that a timeout is never early by the monotonic
// clock, and that holds on the slowest of machines. A timeout that must not fire is given an hour, and the loop a nap.
#include <climits>
#include <ctime>
#include <utility>

#include "fds.hpp"
#include "masks.hpp"
#include "scenario.hpp"

using namespace conformance;

namespace {

constexpr int kHour = 3600 * 1000;

// Whole microseconds: the finest that the default loop has.
std::int64_t now_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

// As a callback that takes long.
void hold_for(int milliseconds) {
  const std::int64_t end = now_us() + milliseconds * 1000;
  while (now_us() < end) {
  }
}

// Sleeps in the loop for some milliseconds and answers in how many iterations.
int nap(World &world, int milliseconds = 5) {
  Entry &alarm_clock = world.add_timeout(milliseconds);
  const int iterations = world.wait_until([&] { return alarm_clock.calls > 0; });
  world.remove(alarm_clock);
  return iterations;
}

void wait_for_call(World &world, const Entry &entry) {
  const int before = entry.calls;
  world.wait_until([&] { return entry.calls > before; });
}

}  // namespace

CONFORMANCE("row 20: a negative timeout is never called, and keeps no loop from sleeping") {
  for (const int negative : {-1, -2, INT_MIN}) world.add_timeout(negative);
  CHECK(nap(world) < 10);
  CHECK(world.steady().empty());
}

CONFORMANCE("row 20: timeouts of 0 fire in every iteration until changed") {
  Entry &first = world.add_timeout(0);
  Entry &second = world.add_timeout(0);
  world.steady();
  for (int again = 0; again < 50; ++again) REQUIRE(world.run_iteration() == Calls{"t1", "t2"});
  world.update(first, kHour);
  CHECK(world.steady() == Calls{"t2"});
  world.update(second, -1);
  CHECK(world.steady().empty());
  CHECK(nap(world) < 10);
  world.update(first, 0);
  CHECK(world.steady() == Calls{"t1"});
}

CONFORMANCE("row 20: a positive timeout repeats, and no call is early") {
  constexpr int kInterval = 7;
  const std::int64_t start = now_us();
  int calls = 0;
  Entry &timeout = world.add_timeout(kInterval, [&](int) { CHECK(now_us() - start >= ++calls * kInterval * 1000); });
  world.wait_until([&] { return timeout.calls >= 4; });
}

CONFORMANCE("row 20: in a loop that does not sleep, a timeout is not early by a part of a millisecond either") {
  constexpr int kInterval = 2;
  std::int64_t set = 0;
  int early = 0;
  Entry &timeout = world.add_timeout(-1, [&](int) {
    if (now_us() - set < kInterval * 1000) ++early;
  });
  for (int again = 0; again < 20; ++again) {
    // Whoever counts in whole milliseconds is wrong by the most when one is almost over.
    while (now_us() % 1000 < 900) {
    }
    set = now_us();
    world.update(timeout, kInterval);
    for (const int before = timeout.calls; timeout.calls == before;) world.run_quietly();
    world.update(timeout, -1);
  }
  CHECK(early == 0);
}

CONFORMANCE("row 20: a timeout that a long callback held up does not catch up") {
  constexpr int kInterval = 10;
  const std::int64_t start = now_us();
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(kInterval, [&](int) {
    if (timeout->calls == 1) hold_for(10 * kInterval);
  });
  wait_for_call(world, *timeout);
  // Ten intervals have gone by in the one call. One call is due now, and after it one for each interval.
  const std::int64_t held_until = now_us();
  for (int again = 0; again < 10; ++again) world.wait_until([iterations = 0]() mutable { return iterations++ == 1; });
  CHECK(timeout->calls <= 3 + (now_us() - held_until) / (kInterval * 1000));
  CHECK(now_us() - start >= 11 * kInterval * 1000);
}

CONFORMANCE("row 20: INT_MAX is a long time, and keeps no loop from sleeping") {
  Entry &added = world.add_timeout(INT_MAX);
  Entry &updated = world.add_timeout(-1);
  world.update(updated, INT_MAX);
  // 2^31 and 2^32 microseconds are a little less than the first two.
  std::vector<Entry *> others;
  for (const int large : {2147484, 4294968, 1 << 24, INT_MAX / 2 + 1, INT_MAX - 1})
    others.push_back(&world.add_timeout(large));
  CHECK(nap(world) < 10);
  CHECK(world.steady().empty());
  world.update(added, 1);
  wait_for_call(world, added);
  world.update(added, INT_MAX);
  const int calls = added.calls;
  CHECK(nap(world) < 10);
  CHECK(world.steady().empty());
  CHECK(added.calls == calls);
  CHECK(updated.calls == 0);
  for (const Entry *other : others) CHECK(other->calls == 0);
}

CONFORMANCE("row 20: ten thousand timeouts of 0 all fire in every iteration") {
  std::vector<Entry *> timeouts;
  for (int i = 0; i < 10000; ++i) timeouts.push_back(&world.add_timeout(0));
  world.run_until_quiet();
  for (int again = 0; again < 3; ++again) CHECK(world.turn_count() == timeouts.size());
  const int calls = timeouts.front()->calls;
  for (const Entry *timeout : timeouts) REQUIRE(timeout->calls == calls);
}

CONFORMANCE("row 20: ten thousand timeouts of a few milliseconds all fire, and none is early") {
  int early = 0;
  int waiting = 10000;
  std::vector<Entry *> timeouts(10000);
  for (std::size_t i = 0; i < timeouts.size(); ++i) {
    const int interval = 1 + static_cast<int>(i * 7919 % 40);
    const std::int64_t due = now_us() + interval * 1000;
    timeouts[i] = &world.add_timeout(interval, [&, i, due](int) {
      if (now_us() < due) ++early;
      --waiting;
      world.update(*timeouts[i], -1);
    });
  }
  world.wait_until([&] { return waiting == 0; });
  CHECK(early == 0);
  CHECK(world.steady().empty());
}

CONFORMANCE("row 20: a timeout that is made shorter is not late by the old one, made longer not early") {
  Entry &shorter = world.add_timeout(kHour);
  Entry &longer = world.add_timeout(1);
  world.run_iteration();
  const std::int64_t updated = now_us();
  world.update(longer, 30);
  world.update(shorter, 1);
  wait_for_call(world, shorter);
  if (longer.calls == 0) wait_for_call(world, longer);
  CHECK(now_us() - updated >= 30 * 1000);
}

CONFORMANCE("row 20: made longer and shorter again, a timeout comes at the last of them") {
  Entry &timeout = world.add_timeout(2);
  world.run_iteration();
  world.update(timeout, kHour);
  nap(world);
  CHECK(timeout.calls == 0);
  const std::int64_t updated = now_us();
  world.update(timeout, 3);
  wait_for_call(world, timeout);
  CHECK(now_us() - updated >= 3 * 1000);
}

CONFORMANCE("row 20: a timeout set after a long callback, within it or behind it, is never early") {
  constexpr int kInterval = 10;
  std::int64_t set = 0;
  Entry &inside = world.add_timeout(-1, [&](int) { CHECK(now_us() - set >= kInterval * 1000); });
  Entry *holder = nullptr;
  Entry *added = nullptr;
  holder = &world.add_timeout(0, [&](int) {
    world.update(*holder, -1);
    hold_for(3 * kInterval);
    set = now_us();
    world.update(inside, kInterval);
    added = &world.add_timeout(kInterval, [&](int) { CHECK(now_us() - set >= kInterval * 1000); });
  });
  world.wait_until([&] { return inside.calls > 0 && added->calls > 0; });
}

CONFORMANCE("row 20: a timeout set after a watch's long callback is never early") {
  constexpr int kInterval = 10;
  std::int64_t set = 0;
  Entry &timeout = world.add_timeout(-1, [&](int) { CHECK(now_us() - set >= kInterval * 1000); });
  Entry *watch = nullptr;
  watch = &world.add_handle(make_readable(world), R, [&](int) {
    world.update(*watch, 0);
    hold_for(3 * kInterval);
    set = now_us();
    world.update(timeout, kInterval);
  });
  wait_for_call(world, timeout);
}

CONFORMANCE("rows 13, 20: of two timeouts that are due in one iteration either's callback still stops the other") {
  const std::function<void(Entry &)> ways_to_stop[] = {
      [&](Entry &other) { world.remove(other); },
      [&](Entry &other) { world.update(other, -1); },
      [&](Entry &other) { world.update(other, kHour); },
  };
  for (const int interval : {0, 2}) {
    for (const auto &stop : ways_to_stop) {
      bool stopping = false;
      Entry *timeouts[2];
      for (int i : {0, 1}) {
        timeouts[i] = &world.add_timeout(interval, [&, i](int) {
          if (std::exchange(stopping, false)) stop(*timeouts[1 - i]);
        });
      }
      world.run_until_quiet();
      hold_for(3 * interval);  // whatever they did so far, both are due now
      stopping = true;
      CHECK(world.turn_count() == 1);
      for (Entry *timeout : timeouts) {
        if (timeout->state == Entry::State::kLive) world.remove(*timeout);
      }
      world.run_until_quiet();
    }
  }
}

CONFORMANCE("row 15: a timeout of 0 added in such a one's callback fires from the next iteration on") {
  bool adding = false;
  world.add_timeout(0, [&](int) {
    if (std::exchange(adding, false)) world.add_timeout(0);
  });
  world.steady();
  adding = true;
  CHECK(world.run_iteration() == Calls{"t1"});
  CHECK(world.steady() == Calls{"t1", "t2"});
}

CONFORMANCE("row 20: a timeout set while the loop stood still for long is never early") {
  constexpr int kInterval = 10;
  world.run_iteration();
  hold_for(3 * kInterval);
  const std::int64_t set = now_us();
  Entry &timeout = world.add_timeout(kInterval);
  wait_for_call(world, timeout);
  CHECK(now_us() - set >= kInterval * 1000);
}

CONFORMANCE("row 21: an update with the same value restarts the countdown") {
  constexpr int kInterval = 30;
  std::int64_t restarted = 0;
  Entry &timeout = world.add_timeout(kInterval, [&](int) { CHECK(now_us() - restarted >= kInterval * 1000); });
  for (int again = 0; again < 4; ++again) {
    // Taken before the update, as it may be late but not early.
    restarted = now_us();
    world.update(timeout, kInterval);
    nap(world, kInterval / 3);
  }
  // Where the machine is so slow that a nap took three times its time the timeout has fired, and rightly.
  if (timeout.calls == 0) wait_for_call(world, timeout);
}

CONFORMANCE("row 21: an update with the same value within the callback counts from that moment") {
  constexpr int kInterval = 10;
  std::int64_t restarted = 0;
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(kInterval, [&](int) {
    if (restarted != 0) CHECK(now_us() - restarted >= kInterval * 1000);
    hold_for(kInterval / 2);
    restarted = now_us();
    world.update(*timeout, kInterval);
  });
  world.wait_until([&] { return timeout->calls >= 4; });
}

CONFORMANCE("row 22: a timeout that disables itself in its callback is called no more, until it is enabled again") {
  for (const int interval : {0, 1}) {
    Entry *timeout = nullptr;
    timeout = &world.add_timeout(interval, [&](int) { world.update(*timeout, -1); });
    wait_for_call(world, *timeout);
    nap(world);
    CHECK(timeout->calls == 1);
    world.update(*timeout, interval);
    wait_for_call(world, *timeout);
    nap(world);
    CHECK(timeout->calls == 2);
  }
}

CONFORMANCE("row 22: disabled and set to 0 again in its own callback, a timeout goes on firing") {
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(0, [&](int) {
    world.update(*timeout, -1);
    world.update(*timeout, 0);
  });
  CHECK(world.steady() == Calls{"t1"});
}

CONFORMANCE("row 22: a callback of a timeout of 0 makes it an hour, one of a millisecond makes it 0") {
  Entry *slower = nullptr;
  Entry *faster = nullptr;
  slower = &world.add_timeout(0, [&](int) { world.update(*slower, kHour); });
  faster = &world.add_timeout(1, [&](int) { world.update(*faster, 0); });
  wait_for_call(world, *faster);
  CHECK(world.steady() == Calls{"t2"});
  CHECK(slower->calls == 1);
}

CONFORMANCE("row 23: a timeout is flipped between -1 and 0 again and again, and each time it fires and falls silent") {
  Entry &timeout = world.add_timeout(-1);
  for (int again = 0; again < 100; ++again) {
    world.update(timeout, 0);
    wait_for_call(world, timeout);
    world.update(timeout, -1);
    const int calls = timeout.calls;
    for (int iterations = 0; iterations < 3; ++iterations) world.run_iteration();
    REQUIRE(timeout.calls == calls);
  }
}

CONFORMANCE("row 12: a timeout that removes itself in its callback is called no more, and freed after the callback") {
  for (const int interval : {0, 1}) {
    Entry *timeout = nullptr;
    timeout = &world.add_timeout(interval, [&](int) {
      CHECK(world.remove(*timeout) == 0);
      CHECK_FALSE(World::freed(*timeout));
    });
    world.wait_until([&] { return World::freed(*timeout); });
    nap(world);
    CHECK(timeout->calls == 1);
  }
}

CONFORMANCE("row 16: a timeout added in a callback fires, from a timeout, a watch and an ff") {
  std::vector<Entry *> added;
  Entry *watch = nullptr;
  const Ends pipe = make_pipe(world);
  put(pipe.b, 1);
  watch = &world.add_handle(
      pipe.a, R,
      [&](int) {
        added.push_back(&world.add_timeout(0));
        world.remove(*watch);
      },
      [&] { added.push_back(&world.add_timeout(0)); });
  Entry *timeout = nullptr;
  timeout = &world.add_timeout(0, [&](int) {
    added.push_back(&world.add_timeout(0));
    world.update(*timeout, -1);
  });
  CHECK(world.steady() == Calls{"t2", "t3", "t4"});
}
