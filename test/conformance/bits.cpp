// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Event bits: for every kind of fd in every state and under every mask, what poll(2) says of that very fd.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "fds.hpp"
#include "known.hpp"
#include "masks.hpp"
#include "scenario.hpp"

using namespace conformance;

namespace {

// A watch for each mask, all on the same fd.
std::vector<Entry *> watch_under_all_masks(World &world, int fd) {
  std::vector<Entry *> watches;
  for (const int mask : kMasks) watches.push_back(&world.add_handle(fd, mask));
  return watches;
}

Calls truth_for(const std::vector<Entry *> &watches) {
  Calls calls;
  for (const Entry *watch : watches) {
    const int events = poll_truth(watch->fd, watch->wanted);
    if (events != 0) calls.push_back(watch->name + " " + bits_text(events));
  }
  std::sort(calls.begin(), calls.end());
  return calls;
}

// Sleeps in the loop for some milliseconds and answers in how many iterations: one or a few, thousands when it spins.
int iterations_of_a_nap(World &world) {
  Entry &alarm_clock = world.add_timeout(5);
  const int iterations = world.wait_until([&] { return alarm_clock.calls > 0; });
  world.remove(alarm_clock);
  world.run_iteration();  // frees it
  return iterations;
}

constexpr int kFewIterations = 10;

// What happens to a pair, one thing after another; `a` is watched.
struct Step {
  const char *what;
  void (*happen)(World &world, Ends ends);
};

struct Story {
  const char *name;
  Ends (*make)(World &world);
  std::vector<Step> steps;
};

const Step kPeerWrites{"the peer writes", [](World &, Ends ends) { put(ends.b, 100); }};
const Step kDrained{"all is read", [](World &, Ends ends) { drain(ends.a); }};
const Step kFilled{"it is filled", [](World &, Ends ends) { fill(ends.a); }};
const Step kPeerDrains{"the peer reads all", [](World &, Ends ends) { drain(ends.b); }};
const Step kPeerShuts{"the peer half-closes", [](World &, Ends ends) { shutdown(ends.b, SHUT_WR); }};
const Step kShut{"it is half-closed", [](World &, Ends ends) { shutdown(ends.a, SHUT_WR); }};
const Step kPeerCloses{"the peer closes", [](World &world, Ends ends) { world.close(ends.b); }};
const Step kPeerResets{"the peer resets", [](World &world, Ends ends) { reset(world, ends.b); }};

Ends stream(World &world) { return make_socketpair(world, SOCK_STREAM); }
Ends reading(World &world) { return make_pipe(world); }
Ends master(World &world) {
  const Ends ends = make_terminal(world);
  return {ends.b, ends.a};
}
Ends writing(World &world) {
  const Ends ends = make_pipe(world);
  return {ends.b, ends.a};
}

const Story kStories[] = {
    {"pipe, reading end", reading, {kPeerWrites, kDrained, kPeerWrites, kPeerCloses, kDrained}},
    {"pipe, writing end", writing, {kFilled, kPeerDrains, kFilled, kPeerCloses}},
    {"FIFO, reading end", make_fifo, {kPeerWrites, kDrained, kPeerWrites, kPeerCloses, kDrained}},
    {"stream, closed", stream, {kPeerWrites, kDrained, kFilled, kPeerDrains, kPeerWrites, kPeerCloses, kDrained}},
    {"stream, peer half-closes first", stream, {kPeerShuts, kFilled, kPeerDrains, kShut, kPeerCloses}},
    {"stream, half-closed first", stream, {kShut, kPeerWrites, kDrained, kPeerShuts, kPeerCloses}},
    {"stream, peer half-closes, data on the way", stream, {kPeerWrites, kPeerShuts, kDrained, kPeerCloses}},
    {"TCP, closed", make_tcp, {kPeerWrites, kDrained, kPeerWrites, kPeerCloses, kDrained}},
    {"TCP, peer half-closes first", make_tcp, {kPeerShuts, kShut, kPeerCloses}},
    {"TCP, half-closed first", make_tcp, {kShut, kPeerWrites, kDrained, kPeerShuts}},
    {"TCP, reset", make_tcp, {kPeerWrites, kDrained, kPeerResets}},
    {"terminal", make_terminal, {kPeerWrites, kDrained, kPeerWrites, kPeerCloses, kDrained}},
    {"master", master, {kPeerWrites, kDrained, kPeerWrites, kPeerCloses, kDrained}},
};

// What is done to one end comes to the other in its own time (TCP): only a view that stayed is compared.
void check_against_truth(World &world, const std::vector<Entry *> &watches) {
  constexpr int kAttempts = 5;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Calls before = truth_for(watches);
    const Calls calls = world.steady();
    if (truth_for(watches) != before) continue;
    CHECK(calls == before);
    return;
  }
  FAIL("the state of the fd never stayed as it was");
}

// Another open file of the pipe: the kernel gives an end of the kind that is asked for.
int open_again(int pipe, int flags) { return open(fmt::format("/proc/self/fd/{}", pipe).c_str(), flags | O_CLOEXEC); }

void connect_to_each_other(Ends sockets, const Bound &b) {
  sockaddr_in a{};
  socklen_t size = sizeof a;
  const auto address = [](const sockaddr_in &of) { return reinterpret_cast<const sockaddr *>(&of); };
  REQUIRE(connect(sockets.a, address(b.address), sizeof b.address) == 0);
  REQUIRE(getsockname(sockets.a, reinterpret_cast<sockaddr *>(&a), &size) == 0);
  REQUIRE(connect(sockets.b, address(a), sizeof a) == 0);
}

}  // namespace

CONFORMANCE(
    "rows 4, 5, 6, 7: each kind of fd in each state gives under each mask the bits of poll(2), each iteration anew") {
  for (const Situation &situation : situations()) {
    for (const int mask : kMasks) {
      INFO(situation.name << ", mask " << bits_text(mask));
      world.note(situation.name);
      Entry &watch = world.add_handle(situation.make(world), mask);
      REQUIRE_FALSE(World::refused(watch));
      const Calls truth = truth_for({&watch});
      for (int again = 0; again < 4; ++again) CHECK(world.run_iteration() == truth);
      world.remove(watch);
    }
  }
}

CONFORMANCE("row 3: seven watches with different masks on the same fd each get what their own mask asks for") {
  for (const Situation &situation : situations()) {
    INFO(situation.name);
    const std::vector<Entry *> watches = watch_under_all_masks(world, situation.make(world));
    for (int again = 0; again < 4; ++again) CHECK(world.run_iteration() == truth_for(watches));
    for (Entry *watch : watches) world.remove(*watch);
  }
}

CONFORMANCE("rows 4, 6, 7: a watch sees what happens to its fd step by step, as poll(2) does") {
  for (const Story &story : kStories) {
    const Ends ends = story.make(world);
    const std::vector<Entry *> watches = watch_under_all_masks(world, ends.a);
    std::string so_far = story.name;
    world.note(so_far);
    for (const Step &step : story.steps) {
      so_far += std::string("; ") + step.what;
      INFO(so_far);
      step.happen(world, ends);
      check_against_truth(world, watches);
    }
    for (Entry *watch : watches) world.remove(*watch);
  }
}

CONFORMANCE("row 4: each change of the mask takes hold, whatever the mask was before") {
  for (const Situation &situation : situations()) {
    Entry &watch = world.add_handle(situation.make(world), 0);
    for (const int from : kMasks) {
      for (const int to : kMasks) {
        INFO(situation.name << ", mask " << bits_text(from) << " then " << bits_text(to));
        world.update(watch, from);
        CHECK(world.steady() == truth_for({&watch}));
        world.update(watch, to);
        CHECK(world.steady() == truth_for({&watch}));
      }
    }
    world.remove(watch);
  }
}

CONFORMANCE("row 4: a mask of ERROR alone on a pipe whose writer is gone gets HANGUP") {
  const Ends pipe = make_pipe(world);
  world.close(pipe.b);
  world.add_handle(pipe.a, E);
  CHECK(world.run_iteration() == Calls{"w1 H"});
}

CONFORMANCE("row 4: an error on a pipe does not silence its watch until it is masked or removed") {
  const Ends pipe = make_pipe(world);
  world.close(pipe.a);
  Entry &watch = world.add_handle(pipe.b, W);
  for (int again = 0; again < 100; ++again) REQUIRE(world.run_iteration() == Calls{"w1 W|E"});
  world.update(watch, 0);
  CHECK(world.run_iteration().empty());
  world.update(watch, H);
  CHECK(world.run_iteration() == Calls{"w1 E"});
  world.remove(watch);
  CHECK(world.run_iteration().empty());
}

CONFORMANCE("row 4: when an error has been taken off a socket, its watch goes on as before") {
  for (const int mask : kMasks) {
    if (mask == 0) continue;
    INFO("mask " << bits_text(mask));
    const Bound peer = make_bound(world, SOCK_DGRAM);
    const Bound gone = make_bound(world, SOCK_DGRAM);
    const Ends ends{make_connected(world, SOCK_DGRAM, gone), peer.fd};
    world.close(gone.fd);
    Entry &watch = world.add_handle(ends.a, mask);
    check_against_truth(world, {&watch});
    put(ends.a, 1);
    await(ends.a, POLLERR);
    check_against_truth(world, {&watch});
    int error = 0;
    socklen_t size = sizeof error;
    REQUIRE(getsockopt(ends.a, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    REQUIRE(poll_truth(ends.a, E) == 0);
    check_against_truth(world, {&watch});
    connect_to_each_other(ends, peer);
    put(ends.b, 1);
    await(ends.a, POLLIN);
    check_against_truth(world, {&watch});
    world.remove(watch);
  }
}

CONFORMANCE("row 4: a pipe that has a writer or a reader again is hung up, or erring, no more") {
  for (const int mask : kMasks) {
    for (const bool read_side : {true, false}) {
      INFO((read_side ? "reading" : "writing") << " end, mask " << bits_text(mask));
      const Ends pipe = make_pipe(world);
      const int watched = read_side ? pipe.a : pipe.b;
      Entry &watch = world.add_handle(watched, mask);
      int peer = read_side ? pipe.b : pipe.a;
      for (int again = 0; again < 2; ++again) {
        if (read_side) put(peer, 1);
        check_against_truth(world, {&watch});
        world.close(peer);
        check_against_truth(world, {&watch});
        if (read_side) drain(watched);
        check_against_truth(world, {&watch});
        peer = world.own(open_again(watched, read_side ? O_WRONLY : O_RDONLY));
        check_against_truth(world, {&watch});
      }
      world.remove(watch);
    }
  }
}

CONFORMANCE("row 5: a watch with mask 0 keeps no loop from sleeping, whatever happens to its fd") {
  for (const Situation &situation : situations()) {
    INFO(situation.name);
    world.add_handle(situation.make(world), 0);
    CHECK(iterations_of_a_nap(world) < kFewIterations);
  }
}

CONFORMANCE("row 5: a loop sleeps while the fds are in no state that their watches ask for") {
  for (const Situation &situation : situations()) {
    const int fd = situation.make(world);
    for (const int mask : kMasks) {
      if (mask == 0 || poll_truth(fd, mask) != 0) continue;
      INFO(situation.name << ", mask " << bits_text(mask));
      Entry &watch = world.add_handle(fd, mask);
      CHECK(iterations_of_a_nap(world) < kFewIterations);
      world.remove(watch);
    }
  }
}

CONFORMANCE("row 5: a hung-up fd that is masked after it fired lets the loop sleep") {
  for (const Situation &situation : situations()) {
    INFO(situation.name);
    Entry &watch = world.add_handle(situation.make(world), kAll);
    world.run_iteration();
    world.update(watch, 0);
    CHECK(iterations_of_a_nap(world) < kFewIterations);
    world.remove(watch);
  }
}

CONFORMANCE("row 5: a hung-up or erring fd that is masked lets the loop sleep, whatever its watch had asked for") {
  for (const Situation &situation : situations()) {
    const int fd = situation.make(world);
    if (poll_truth(fd, E) == 0) continue;
    for (const int mask : kMasks) {
      INFO(situation.name << ", mask " << bits_text(mask) << " then 0");
      Entry &watch = world.add_handle(fd, mask);
      world.steady();
      world.update(watch, 0);
      CHECK(iterations_of_a_nap(world) < kFewIterations);
      CHECK(world.steady().empty());
      world.remove(watch);
    }
  }
}

CONFORMANCE("row 6: a watch fires in every iteration until all is read") {
  const Ends pipe = make_pipe(world);
  put(pipe.b, 5);
  world.add_handle(pipe.a, R, [&](int) {
    char one;
    CHECK(read(pipe.a, &one, 1) == 1);
  });
  for (int unread = 5; unread > 0; --unread) REQUIRE(world.run_iteration() == Calls{"w1 R"});
  CHECK(world.run_iteration().empty());
}

CONFORMANCE("row 7: a half-closed TCP connection is readable and not hung up") {
  const Ends tcp = make_tcp(world);
  shutdown(tcp.b, SHUT_WR);
  await(tcp.a, POLLRDHUP);
  Entry &watch = world.add_handle(tcp.a, R | E | H);
  CHECK(world.run_iteration() == Calls{"w1 R"});
  world.update(watch, E | H);
  CHECK(world.run_iteration().empty());
  CHECK(iterations_of_a_nap(world) < kFewIterations);
}

CONFORMANCE("row 18: the flags of the caller's file description stay as the caller set them") {
  for (const int extra : {0, O_NONBLOCK}) {
    for (const Situation &situation : situations()) {
      INFO(situation.name);
      const int fd = situation.make(world);
      fcntl(fd, F_SETFL, (fcntl(fd, F_GETFL) & ~O_NONBLOCK) | extra);
      const int flags = fcntl(fd, F_GETFL);
      const int fd_flags = fcntl(fd, F_GETFD);
      const auto unchanged = [&] { return fcntl(fd, F_GETFL) == flags && fcntl(fd, F_GETFD) == fd_flags; };
      Entry &watch = world.add_handle(fd, kAll, [&](int) { CHECK(unchanged()); });
      CHECK(unchanged());
      for (const int mask : kMasks) {
        world.update(watch, mask);
        CHECK(unchanged());
        world.run_iteration();
        CHECK(unchanged());
      }
      world.remove(watch);
      CHECK(unchanged());
      world.run_iteration();
      CHECK(unchanged());
    }
  }
}

// What epoll refuses is watched under its own number, and so seen to be closed.
int events_when_closed(int witness, int mask) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event probe{};
  const bool is_refused = epoll_ctl(epoll, EPOLL_CTL_ADD, witness, &probe) < 0;
  close(epoll);
  if (!is_refused) return poll_truth(witness, mask);
  return (mask & (VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_WRITABLE)) != 0 ? VIR_EVENT_HANDLE_ERROR : 0;
}

CONFORMANCE(
    "row 19: an fd of each kind, closed while watched under each mask, shows what its file does, or ERROR, or "
    "nothing") {
  const bool keeps_open = known_difference("keeps the file open");
  for (const Situation &situation : situations()) {
    for (const int mask : kMasks) {
      INFO(situation.name << ", mask " << bits_text(mask));
      const int fd = situation.make(world);
      const int witness = world.own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
      Entry &watch = world.add_handle(fd, mask);
      world.run_until_quiet();
      world.close(fd);
      const Calls calls = world.steady();
      const int events = keeps_open ? events_when_closed(witness, mask) : 0;
      CHECK(calls == (events == 0 ? Calls{} : Calls{watch.name + " " + bits_text(events)}));
      CHECK(world.remove(watch) == 0);
      world.steady();
      world.close(witness);
    }
  }
}

CONFORMANCE("row 19: an fd of any kind that was closed lets the loop sleep while its watch has mask 0") {
  for (const Situation &situation : situations()) {
    for (const int mask : {0, kAll}) {
      INFO(situation.name << ", mask " << bits_text(mask) << " then 0");
      const int fd = situation.make(world);
      Entry &watch = world.add_handle(fd, mask);
      world.run_until_quiet();
      world.close(fd);
      world.update(watch, 0);
      CHECK(iterations_of_a_nap(world) < kFewIterations);
      CHECK(world.remove(watch) == 0);
      world.run_until_quiet();
    }
  }
}
