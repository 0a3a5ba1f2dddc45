// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What libvirt's callers rely on, as rules that hold whatever a test is about. This is the only place that has them:
// the conformance scenarios, the random programs, the fuzz target and the thread tests all add, update and remove
// through a Contract, and tell it of each callback and `ff`. What breaks a rule is a violation: a line that begins with
// the row of the contract.
//
// What is judged:
//
//   row 1          ids are at least 1, or -1; a callback is told its own id and fd
//   rows 2, 17     nothing is called from within one of the six functions; nothing at all after add returned -1
//   row 4          a callback is told some bit, and none but those asked for, ERROR and HANGUP
//   rows 5, 8, 20  no callback while the mask is 0, or the timeout disabled
//   row 11         remove returns 0 once, and -1 afterwards
//   rows 12, 16    no callback and no `ff` within another
//   row 13         no callback after the remove
//   row 15         a watch that a watch's callback has added is not called in the same iteration
//   row 16         on the loop's thread; `ff` once, last, and only after a remove
//   row 20         no timeout fires before its interval has passed since it was last set
//
// With other threads at work, a callback that has begun can't be told from one that begins too late. After
// other_threads_decide() the rules that compare a callback with what is wanted at its moment are left out; row 13
// still holds for a remove on the loop's own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

// "R|W|E|H", "-" for none.
std::string bits_text(int events);

// One add, from before the call until after the last callback that could come. It must outlive the loop's calls.
struct Registration {
  enum class State { kLive, kRemoving, kRemovingInLoop, kRemoved, kRemovedInLoop, kFreed, kRefused };

  Registration(std::string named, bool timeout, int watched_fd, int wanted_first)
      : name(std::move(named)), is_timeout(timeout), fd(watched_fd), wanted(wanted_first) {}

  const std::string name;
  const bool is_timeout;
  const int fd;             // -1 for a timeout
  std::atomic<int> id{0};   // 0: add has not returned yet
  std::atomic<int> wanted;  // events or milliseconds, as last asked for
  std::atomic<State> state{State::kLive};
  std::atomic<int> calls{0};
  std::atomic<int> frees{0};

  // The Contract's own.
  std::atomic<std::int64_t> set_at_us{0};
  std::uint64_t added_in_iteration = 0;  // by a watch's callback; else 0
};

class Contract {
 public:
  // The loop's thread, until told otherwise, is the one that makes it.
  Contract() = default;
  Contract(const Contract &) = delete;
  Contract &operator=(const Contract &) = delete;

  void other_threads_decide() { racing_ = true; }
  void set_loop_thread(std::thread::id thread) { loop_thread_ = thread; }
  // For row 15. A test that never calls it has no iterations to judge by.
  void begin_iteration() { ++iteration_; }

  // --- Any thread: around the call of the loop's function, which `call` makes ---

  template <typename Call>
  int add(Registration &registration, Call &&call) {
    before_add(registration);
    const int id = inside(call);
    after_add(registration, id);
    return id;
  }

  template <typename Call>
  void update(Registration &registration, int wanted, Call &&call) {
    before_update(registration, wanted);
    inside(call);
  }

  // The first remove must succeed, and each after it must not.
  template <typename Call>
  int remove(Registration &registration, Call &&call) {
    const bool first = claim(registration);
    const int result = inside(call);
    after_remove(registration, first, result);
    return result;
  }

  // Where several threads may remove the same one: one of them makes the call, and is told true.
  template <typename Call>
  bool remove_once(Registration &registration, Call &&call) {
    if (!claim(registration)) return false;
    after_remove(registration, true, inside(call));
    return true;
  }

  // --- On whatever thread the loop calls: an object of these for as long as the callback or `ff` runs ---

  class InCallback {
   public:
    InCallback(Contract &contract, Registration &registration, int id, int fd, int events);
    ~InCallback();
    InCallback(const InCallback &) = delete;
    InCallback &operator=(const InCallback &) = delete;

   private:
    Contract &contract_;
    const bool outer_in_watch_;
  };

  class InFree {
   public:
    InFree(Contract &contract, Registration &registration);
    ~InFree();
    InFree(const InFree &) = delete;
    InFree &operator=(const InFree &) = delete;

   private:
    Contract &contract_;
  };

  // --- At the end ---

  // Row 16: once everything is removed and the loop has nothing left to free.
  void judge_end(const Registration &registration);

  std::vector<std::string> violations();

 private:
  // Marks that this thread is within one of the six functions, from which nothing may be called back.
  class InsideFunction {
   public:
    InsideFunction() : outer_(std::exchange(inside_function, true)) {}
    ~InsideFunction() { inside_function = outer_; }

   private:
    const bool outer_;
  };

  template <typename Call>
  static auto inside(Call &&call) {
    const InsideFunction mark;
    return call();
  }

  void before_add(Registration &registration);
  void after_add(Registration &registration, int id);
  void before_update(Registration &registration, int wanted);
  bool claim(Registration &registration);
  void after_remove(Registration &registration, bool first, int result);
  bool on_loop_thread() const { return std::this_thread::get_id() == loop_thread_.load(); }
  void judge_callback(const Registration &registration, int id, int fd, int events);
  void judge_wanted(const Registration &registration, int events);
  void judge_place(const Registration &registration, const char *what);
  void violation(const Registration &registration, const std::string &what);

  static thread_local bool inside_function;

  std::atomic<std::thread::id> loop_thread_{std::this_thread::get_id()};
  std::atomic<bool> racing_{false};
  std::atomic<int> depth_{0};  // of callbacks and frees
  std::atomic<bool> in_watch_callback_{false};
  std::atomic<std::uint64_t> iteration_{0};
  std::mutex mutex_;
  std::vector<std::string> violations_;  // guarded by mutex_
};

}  // namespace support
