// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One scenario's world: what it has registered, what was called back, and the rules that hold in every scenario.
//
// Each watch and timeout is an Entry, and each call of its callback or `ff` is judged as it arrives by what stands in
// shared/contract.md whatever the scenario is about: on the loop's thread, never from within a virEvent* call nor from
// within another callback, never with bits that are not asked for, never after the remove, freed once and last. What
// breaks one of these is a violation, and fails the scenario at its end.
//
// What a turn called is told as sorted lines: "t1", "w2 R|H": the order of dispatch within an iteration is nobody's
// promise. Entries are named by the order of their creation, for ids are the loop's own affair, so lines of two
// loops can be compared. The lines of all turns together are the trace.
//
// Two things that loops do differently, and that are no part of the contract, are evened out. When an `ff` runs: a
// turn that did nothing but free is followed by another. How soon a change takes hold: steady() turns the loop until
// what it calls is the same time after time.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "loop.hpp"

namespace conformance {

using Calls = std::vector<std::string>;

// "R|W|E|H", "-" for none.
std::string bits_text(int events);

class World;

struct Entry {
  enum class State { kLive, kRemoving, kRemoved, kFreed, kRefused };
  using OnCall = std::function<void(int events)>;  // events: 0 for a timeout
  using OnFree = std::function<void()>;

  Entry(World &in_world, bool timeout, std::string named, int watched_fd, int wanted_first);

  World &world;
  const bool is_timeout;
  const std::string name;
  const int fd;  // -1 for a timeout
  std::atomic<int> id{0};
  std::atomic<int> wanted;  // events or milliseconds, as last asked for
  std::atomic<State> state{State::kLive};
  std::atomic<int> calls{0};
  std::atomic<int> frees{0};
  OnCall on_call;
  OnFree on_free;
  std::uint64_t added_in_turn = 0;  // when added by a watch's callback, else 0
};

class World {
 public:
  World(Loop &loop, std::string scenario);

  // Any thread. They call libvirt; `refused` when add answered -1.
  Entry &add_handle(int fd, int events, Entry::OnCall on_call = {}, Entry::OnFree on_free = {});
  Entry &add_timeout(int milliseconds, Entry::OnCall on_call = {}, Entry::OnFree on_free = {});
  void update(Entry &entry, int wanted);
  int remove(Entry &entry);
  static bool refused(const Entry &entry) { return entry.state == Entry::State::kRefused; }
  static bool freed(const Entry &entry) { return entry.state == Entry::State::kFreed; }

  // The loop's thread, outside callbacks: one iteration, and what it called.
  Calls turn();
  // The same, without a line in the trace.
  Calls quiet_turn();
  // The same, where the order of dispatch, which is nobody's promise, decides whom it calls: how many calls it made.
  std::size_t turn_count();
  // So many iterations, untraced, that every change has taken hold.
  void settle();
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
  void other_threads_decide() { racing_ = true; }

  // Removes what is left and waits for every `ff`. Throws std::runtime_error if one doesn't come.
  void finish();

  const std::vector<std::string> &trace() const { return trace_; }
  std::vector<std::string> violations();
  Loop &loop() const { return loop_; }
  const std::string &scenario() const { return scenario_; }

 private:
  static void handle_called(int watch, int fd, int events, void *opaque);
  static void timeout_called(int timer, void *opaque);
  static void entry_freed(void *opaque);

  Entry &create(bool timeout, int fd, int wanted, Entry::OnCall on_call, Entry::OnFree on_free);
  Entry &added(Entry &entry, int id);
  void called(Entry &entry, int id, int fd, int events);
  void judge_call(const Entry &entry, int id, int fd, int events);
  void judge_wanted(const Entry &entry, int events);
  void judge_place(const Entry &entry, const char *what);
  void judge_free(const Entry &entry);
  void violation(const Entry &entry, const std::string &what);
  void note_ends(bool timeouts);
  std::string unfreed();

  Loop &loop_;
  const std::string scenario_;
  const std::thread::id loop_thread_ = std::this_thread::get_id();
  std::mutex mutex_;  // guards entries_, the two counts, owned_ and violations_
  std::deque<Entry> entries_;
  int watches_ = 0;
  int timeouts_ = 0;
  std::set<int> owned_;
  std::vector<std::string> violations_;
  std::vector<std::string> trace_;
  Calls calls_;  // of the turn under way
  int frees_ = 0;
  int depth_ = 0;
  bool in_watch_callback_ = false;
  bool racing_ = false;
  std::uint64_t turn_number_ = 1;
};

}  // namespace conformance
