// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs programs that a generator made (random_programs.py), one operation a line:
//
//     open C KIND            a channel C of that kind: two ends, Ca and Cb
//     write E | drain E | fill E | shutdown E | reset E
//     close E ORDER          removes the watches of that end and closes it: ORDER `first` or `last`
//     add W E MASK           a watch in slot W, on an end
//     addt T MS              a timeout in slot T
//     update S N             the mask or frequency of a slot
//     remove S
//     stale S N              updates and removes the slot's last id, when it is removed already
//     remote OPERATION       on another thread, waited for
//     hook S OPERATION       in the next call of the slot, once, in the iterations that follow; several gather
//     run                    iterations until all has taken hold; then what each iteration calls
//     await T                iterations that sleep, until the timeout T has fired, where it soon does
//
// An operation that can't be done in the state that the program is in does nothing. So every part of a program is a
// program, and can be cut out.
//
// What can be compared between two loops is what a state leads to, when it stays. In what order dispatch
// goes within an iteration is open, so one slot at most has a hook at a time: its operations come into a state that
// nobody else changes. What each iteration calls in the end is compared with poll(2) here, and with another loop by the
// generator. After each operation the flags of every open file are what they were.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "fds.hpp"
#include "world.hpp"

namespace conformance {

class Interpreter {
 public:
  explicit Interpreter(World &world) : world_(world) {}

  // Throws std::runtime_error for a line that is no operation.
  void run(const std::string &line);

 private:
  struct Channel {
    std::string kind;
    int fds[2] = {-1, -1};
    int flags[2] = {0, 0};  // of the open files, as they were made
  };
  struct Slot {
    Entry *entry = nullptr;  // the last one; it may be removed
    std::string end;         // of a watch
  };

  struct Operation {
    std::size_t arguments;
    void (*run)(Interpreter &self, const std::vector<std::string> &words);
  };
  static const std::map<std::string, Operation> &operations();

  void run_line(const std::string &line);
  void run_remotely(const std::string &line);
  void run_guarded(const std::string &line);
  void open(int channel, const std::string &kind);
  void write(const std::string &end);
  void drain_end(const std::string &end);
  void fill_end(const std::string &end);
  void shut(const std::string &end);
  void close(const std::string &end, const std::string &how);
  void add(const std::string &slot, const std::string &end, int mask);
  void add_timeout(const std::string &slot, int milliseconds);
  void update(const std::string &slot, int wanted);
  void remove(const std::string &slot);
  void stale(const std::string &slot, int wanted);
  void hook(const std::string &slot, const std::string &line);
  void unhook();
  void run_until_quiet();
  void run_iteration();
  void await_call(const std::string &slot);

  int &fd(const std::string &end);
  int &peer(const std::string &end);
  bool can_use(const std::string &end);
  const std::string &kind(const std::string &end);
  bool live(const std::string &slot) const;
  void called(const std::string &slot);
  void judge_flags();
  Calls truth() const;
  Calls calls_of_an_iteration();

  World &world_;
  std::array<Channel, 4> channels_;
  std::map<std::string, Slot> slots_;
  std::string hooked_;
  std::vector<std::string> hook_;
  std::string awaited_;
  // A watched end was closed: its peer may see that only after an iteration (known.cpp).
  bool peer_waits_ = false;
};

}  // namespace conformance
