// SPDX-License-Identifier: LGPL-2.1-or-later
#include "contract.hpp"

#include <libvirt/libvirt.h>

#include <ctime>

namespace support {
namespace {

// One broken rule may break for each of a million calls.
constexpr std::size_t kMostViolations = 100;

std::int64_t now_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

}  // namespace

thread_local bool Contract::inside_function = false;

std::string bits_text(int events) {
  static constexpr struct {
    int bit;
    char letter;
  } kLetters[] = {{VIR_EVENT_HANDLE_READABLE, 'R'},
                  {VIR_EVENT_HANDLE_WRITABLE, 'W'},
                  {VIR_EVENT_HANDLE_ERROR, 'E'},
                  {VIR_EVENT_HANDLE_HANGUP, 'H'}};
  std::string text;
  for (const auto &[bit, letter] : kLetters) {
    if ((events & bit) == 0) continue;
    if (!text.empty()) text += '|';
    text += letter;
  }
  return text.empty() ? "-" : text;
}

// --- Calls of the six functions ---

void Contract::before_add(Registration &registration) {
  registration.set_at_us = now_us();
  if (on_loop_thread() && in_watch_callback_) registration.added_in_iteration = iteration_;
}

void Contract::after_add(Registration &registration, int id) {
  registration.id = id;
  if (id == -1) registration.state = Registration::State::kRefused;
  if (id == 0 || id < -1) violation(registration, "row 1: add returned " + std::to_string(id));
}

void Contract::before_update(Registration &registration, int wanted) {
  registration.set_at_us = now_us();
  registration.wanted = wanted;
}

bool Contract::claim(Registration &registration) {
  using State = Registration::State;
  State live = State::kLive;
  return registration.state.compare_exchange_strong(live, on_loop_thread() ? State::kRemovingInLoop : State::kRemoving);
}

void Contract::after_remove(Registration &registration, bool first, int result) {
  using State = Registration::State;
  if (first && result != 0) violation(registration, "row 11: the remove returned " + std::to_string(result));
  if (!first && result != -1) violation(registration, "row 11: a second remove returned " + std::to_string(result));
  if (!first) return;
  // `ff` may have run on the loop's thread by now; then the state has gone on to kFreed.
  State removing = on_loop_thread() ? State::kRemovingInLoop : State::kRemoving;
  registration.state.compare_exchange_strong(removing, on_loop_thread() ? State::kRemovedInLoop : State::kRemoved);
}

// --- Callbacks ---

Contract::InCallback::InCallback(Contract &contract, Registration &registration, int id, int fd, int events)
    : contract_(contract), outer_in_watch_(contract.in_watch_callback_) {
  contract.judge_callback(registration, id, fd, events);
  ++registration.calls;
  ++contract.depth_;
  contract.in_watch_callback_ = !registration.is_timeout;
}

Contract::InCallback::~InCallback() {
  contract_.in_watch_callback_ = outer_in_watch_;
  --contract_.depth_;
}

void Contract::judge_callback(const Registration &registration, int id, int fd, int events) {
  using State = Registration::State;
  judge_place(registration, "called");
  const int known = registration.id;
  const State state = registration.state;
  if (known != 0 && id != known) violation(registration, "row 1: called with another id");
  if (fd != registration.fd) violation(registration, "row 1: called with another fd");
  if (state == State::kRefused) violation(registration, "row 2: called although add had returned -1");
  if (state == State::kFreed) violation(registration, "row 16: called after its ff");
  if (state == State::kRemovingInLoop || state == State::kRemovedInLoop)
    violation(registration, "row 13: called after it was removed on the loop's thread");
  if (registration.added_in_iteration != 0 && registration.added_in_iteration == iteration_)
    violation(registration, "row 15: called in the iteration that added it");
  if (!registration.is_timeout && events == 0) violation(registration, "row 4: called with no bit at all");
  if (!racing_) judge_wanted(registration, events);
}

void Contract::judge_wanted(const Registration &registration, int events) {
  using State = Registration::State;
  const State state = registration.state;
  if (state == State::kRemoving || state == State::kRemoved)
    violation(registration, "row 13: called after another thread removed it");
  const int wanted = registration.wanted;
  if (registration.is_timeout) {
    if (wanted < 0) violation(registration, "row 20: called while disabled");
    if (wanted > 0 && now_us() - registration.set_at_us < std::int64_t{wanted} * 1000)
      violation(registration, "row 20: called early");
    return;
  }
  const int allowed = wanted | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP;
  if (wanted == 0) violation(registration, "rows 5 and 8: called with " + bits_text(events) + " while its mask is 0");
  if ((events & ~allowed) != 0)
    violation(registration, "row 8: called with " + bits_text(events) + " while its mask is " + bits_text(wanted));
}

void Contract::judge_place(const Registration &registration, const char *what) {
  const std::string did = what;
  if (!on_loop_thread()) violation(registration, "row 16: " + did + " on another thread");
  if (inside_function) violation(registration, "rows 2 and 17: " + did + " from within one of the six functions");
  if (depth_ > 0) violation(registration, "rows 12 and 16: " + did + " from within another callback or ff");
}

Contract::InFree::InFree(Contract &contract, Registration &registration) : contract_(contract) {
  using State = Registration::State;
  contract.judge_place(registration, "freed");
  const State before = registration.state.exchange(State::kFreed);
  if (before == State::kRefused) contract.violation(registration, "row 2: freed although add had returned -1");
  if (before == State::kLive) contract.violation(registration, "row 16: freed, and nothing had removed it");
  if (before == State::kFreed) contract.violation(registration, "row 16: freed again");
  ++registration.frees;
  ++contract.depth_;
}

Contract::InFree::~InFree() { --contract_.depth_; }

void Contract::judge_end(const Registration &registration) {
  const int expected = registration.state == Registration::State::kRefused ? 0 : 1;
  if (registration.frees != expected)
    violation(registration, "row 16: freed " + std::to_string(registration.frees) + " times");
}

// --- Violations ---

void Contract::violation(const Registration &registration, const std::string &what) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (violations_.size() < kMostViolations) violations_.push_back(registration.name + ": " + what);
}

std::vector<std::string> Contract::violations() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return violations_;
}

}  // namespace support
