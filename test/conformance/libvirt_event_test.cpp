// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The scenarios of the event test that libvirt has for its own loop, in idea: several pipes and several timeouts, of
// which one fires, while another goes away before the poll, during it, or in the dispatch.
#include <array>

#include "asleep.hpp"
#include "fds.hpp"
#include "masks.hpp"
#include "scenario.hpp"

using namespace conformance;

namespace {

constexpr int kMany = 5;
constexpr int kHour = 3600 * 1000;

// What one of the many does when it is called.
using Act = std::function<void(int which)>;

class Pipes {
 public:
  explicit Pipes(World &world, const Act &act = {}) {
    for (int i = 0; i < kMany; ++i) {
      pipes_[i] = make_pipe(world);
      watches_[i] = &world.add_handle(pipes_[i].a, R, [act, i](int) {
        if (act) act(i);
      });
    }
  }
  Entry &operator[](int i) { return *watches_[i]; }
  void write(int i) { put(pipes_[i].b, 1); }

 private:
  std::array<Ends, kMany> pipes_;
  std::array<Entry *, kMany> watches_;
};

class Timeouts {
 public:
  explicit Timeouts(World &world, const Act &act = {}) {
    for (int i = 0; i < kMany; ++i)
      timeouts_[i] = &world.add_timeout(-1, [act, i](int) {
        if (act) act(i);
      });
  }
  Entry &operator[](int i) { return *timeouts_[i]; }

 private:
  std::array<Entry *, kMany> timeouts_;
};

}  // namespace

CONFORMANCE("row 6: a write fires the watch of its pipe and no other") {
  Pipes pipes(world);
  pipes.write(1);
  CHECK(world.run_iteration() == Calls{"w2 R"});
}

CONFORMANCE("row 13: a watch that is removed before the poll does not fire, and another does") {
  Pipes pipes(world);
  pipes.write(0);
  pipes.write(1);
  world.remove(pipes[0]);
  CHECK(world.run_iteration() == Calls{"w2 R"});
}

CONFORMANCE("row 13: a watch that is removed during the poll does not fire, and another does") {
  Pipes pipes(world);
  while_asleep(
      world,
      [&] {
        world.remove(pipes[0]);
        pipes.write(0);
        pipes.write(1);
      },
      [&] { return pipes[1].calls > 0; });
  CHECK(pipes[0].calls == 0);
}

CONFORMANCE("row 13: a watch that another's callback removes while it is not ready does not fire later") {
  Pipes *all = nullptr;
  Pipes pipes(world, [&](int which) {
    if (which == 1 && (*all)[1].calls == 1) world.remove((*all)[0]);
  });
  all = &pipes;
  pipes.write(1);
  CHECK(world.run_iteration() == Calls{"w2 R"});
  pipes.write(0);
  CHECK(world.run_iteration() == Calls{"w2 R"});
}

CONFORMANCE("row 12: a watch removes itself in its callback, and the others go on") {
  Pipes *all = nullptr;
  Pipes pipes(world, [&](int which) {
    if (which == 1) world.remove((*all)[1]);
  });
  all = &pipes;
  pipes.write(1);
  pipes.write(2);
  CHECK(world.run_iteration() == Calls{"w2 R", "w3 R"});
  CHECK(world.run_iteration() == Calls{"w3 R"});
}

CONFORMANCE("row 20: a timeout that is enabled fires, and no other") {
  Timeouts timeouts(world);
  world.update(timeouts[1], 0);
  CHECK(world.steady() == Calls{"t2"});
}

CONFORMANCE("row 13: a timeout that is removed before the poll does not fire, and another does") {
  Timeouts timeouts(world);
  world.update(timeouts[0], 0);
  world.update(timeouts[1], 0);
  world.remove(timeouts[0]);
  CHECK(world.steady() == Calls{"t2"});
  CHECK(timeouts[0].calls == 0);
}

CONFORMANCE("row 13: a timeout that is removed during the poll does not fire, and another does") {
  Timeouts timeouts(world);
  world.update(timeouts[0], kHour);
  while_asleep(
      world,
      [&] {
        world.remove(timeouts[0]);
        world.update(timeouts[1], 0);
      },
      [&] { return timeouts[1].calls > 0; });
  CHECK(timeouts[0].calls == 0);
}

CONFORMANCE("row 13: a timeout that another's callback removes before it is due does not fire") {
  Timeouts *all = nullptr;
  Timeouts timeouts(world, [&](int which) {
    if (which == 1 && (*all)[1].calls == 1) world.remove((*all)[0]);
  });
  all = &timeouts;
  world.update(timeouts[0], kHour);
  world.update(timeouts[1], 0);
  CHECK(world.steady() == Calls{"t2"});
  CHECK(timeouts[0].calls == 0);
}

CONFORMANCE("row 12: a timeout removes itself in its callback, and the others go on") {
  Timeouts *all = nullptr;
  Timeouts timeouts(world, [&](int which) {
    if (which == 1) world.remove((*all)[1]);
  });
  all = &timeouts;
  world.update(timeouts[1], 0);
  world.update(timeouts[2], 0);
  CHECK(world.steady() == Calls{"t3"});
  CHECK(timeouts[1].calls == 1);
}

CONFORMANCE("row 11: when all but the last watch and timeout are removed, the last ones work") {
  Pipes pipes(world);
  Timeouts timeouts(world);
  for (int i = 0; i < kMany - 1; ++i) {
    world.remove(pipes[i]);
    world.remove(timeouts[i]);
  }
  pipes.write(kMany - 1);
  world.update(timeouts[kMany - 1], 0);
  CHECK(world.steady() == Calls{"t5", "w5 R"});
}

CONFORMANCE("row 3: of two watches on one fd, with mask 0 and with READABLE, only the second fires") {
  const Ends pipe = make_pipe(world);
  world.add_handle(pipe.a, 0);
  world.add_handle(pipe.a, R);
  put(pipe.b, 1);
  CHECK(world.run_iteration() == Calls{"w2 R"});
}

CONFORMANCE("row 11: what was removed already, another time, leaves the others as they are") {
  Pipes pipes(world);
  Timeouts timeouts(world);
  pipes.write(1);
  world.update(timeouts[1], 0);
  for (int again = 0; again < 2; ++again) {
    const int answer = again == 0 ? 0 : -1;
    CHECK(world.remove(pipes[0]) == answer);
    CHECK(world.remove(timeouts[0]) == answer);
    CHECK(world.steady() == Calls{"t2", "w2 R"});
  }
}
