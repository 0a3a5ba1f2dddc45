// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One scenario's world: what it has registered, what was called back, and the rules that hold in every scenario.
//
// Each watch and timeout is an Entry, and each call of its callback or `ff` is judged as it arrives by the rules of
// support::Contract, whatever the scenario is about. What breaks one of these is a violation, and fails the scenario at
// its end.
//
// What an iteration called is told as sorted lines: "t1", "w2 R|H": the order of dispatch within an iteration is
// nobody's promise. Entries are named by the order of their creation, for ids are the loop's own affair, so lines of
// two loops can be compared. The lines of all iterations together are the trace.
//
// Two things that loops do differently, and that are no part of the contract, are evened out. When an `ff` runs: an
// iteration that did nothing but free is followed by another. How soon a change takes hold: steady() runs the loop
// until what it calls is the same time after time.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "contract.hpp"
#include "loop.hpp"

namespace conformance {

using Calls = std::vector<std::string>;

using support::bits_text;

class World;

struct Entry : support::Registration {
  using OnCall = std::function<void(int events)>;  // events: 0 for a timeout
  using OnFree = std::function<void()>;

  Entry(World &in_world, std::string named, bool timeout, int watched_fd, int wanted_first)
      : Registration(std::move(named), timeout, watched_fd, wanted_first), world(in_world) {}

  World &world;
  OnCall on_call;
  OnFree on_free;
};

class World {
 public:
  World(Loop &loop, std::string scenario);

  // Any thread. They call libvirt; `refused` when add returned -1. An entry may be updated and removed again.
  Entry &add_handle(int fd, int events, Entry::OnCall on_call = {}, Entry::OnFree on_free = {});
  Entry &add_timeout(int milliseconds, Entry::OnCall on_call = {}, Entry::OnFree on_free = {});
  void update(Entry &entry, int wanted);
  int remove(Entry &entry);
  static bool refused(const Entry &entry) { return entry.state == Entry::State::kRefused; }
  static bool freed(const Entry &entry) { return entry.state == Entry::State::kFreed; }

  // The loop's thread, outside callbacks: one iteration, and what it called.
  Calls run_iteration();
  // The same, without a line in the trace.
  Calls run_quietly();
  // The same, where the order of dispatch, which is nobody's promise, decides whom it calls: how many calls it made.
  std::size_t turn_count();
  // So many iterations, untraced, that every change has taken hold.
  void run_until_quiet();
  // What each iteration calls by now. Throws when that goes on changing.
  Calls steady();
  // Iterations that sleep, until `done`; answers how many. The caller's watchdog bounds it.
  int wait_until(const std::function<bool()> &done);

  // Closes `fd` at the end, if it was not closed by then. Any thread.
  int own(int fd);
  void close(int fd);

  // A line of the scenario's own in the trace: what libvirt's functions answered, for example.
  void note(const std::string &line) { trace_.push_back(line); }

  // With other threads at work, a callback that has begun can't be told from one that begins too late: the scenario
  // checks by itself, and the rules that compare with what is wanted at the moment of the call do not apply.
  void other_threads_decide() { contract_.other_threads_decide(); }

  // Removes what is left and waits for every `ff`. Throws std::runtime_error if one doesn't come.
  void finish();

  const std::vector<std::string> &trace() const { return trace_; }
  std::vector<std::string> violations() { return contract_.violations(); }
  Loop &loop() const { return loop_; }
  const std::string &scenario() const { return scenario_; }

 private:
  static void handle_called(int watch, int fd, int events, void *opaque);
  static void timeout_called(int timer, void *opaque);
  static void entry_freed(void *opaque);

  Entry &create(bool timeout, int fd, int wanted, Entry::OnCall on_call, Entry::OnFree on_free);
  void called(Entry &entry, int id, int fd, int events);
  void note_ends(bool timeouts);
  std::string unfreed();

  Loop &loop_;
  const std::string scenario_;
  support::Contract contract_;
  std::mutex mutex_;  // guards entries_, the two counts and owned_
  std::deque<Entry> entries_;
  int watches_ = 0;
  int timeouts_ = 0;
  std::set<int> owned_;
  std::vector<std::string> trace_;
  Calls calls_;  // of the iteration under way
  int frees_ = 0;
};

}  // namespace conformance
