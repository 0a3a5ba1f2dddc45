// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See world.hpp.
#include "world.hpp"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace conformance {
namespace {

// The most turns that anything promised may take: far more than any loop needs.
constexpr int kPatience = 10000;
constexpr int kSteadyPatience = 100;
// A change may take hold in the next iteration but one: for as long, two equal turns prove nothing.
constexpr int kSettling = 3;

thread_local bool inside_libvirt = false;

// Marks that this thread is inside a virEvent* function, from which nothing may be called back.
template <typename Call>
auto inside(Call &&call) {
  struct Mark {
    Mark() { inside_libvirt = true; }
    ~Mark() { inside_libvirt = false; }
  } mark;
  return call();
}

}  // namespace

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

Entry::Entry(World &in_world, bool timeout, std::string named, int watched_fd, int wanted_first)
    : world(in_world), is_timeout(timeout), name(std::move(named)), fd(watched_fd), wanted(wanted_first) {}

World::World(Loop &loop, std::string scenario) : loop_(loop), scenario_(std::move(scenario)) {}

Entry &World::create(bool timeout, int fd, int wanted, Entry::OnCall on_call, Entry::OnFree on_free) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry &entry = entries_.emplace_back(
      *this, timeout, timeout ? fmt::format("t{}", ++timeouts_) : fmt::format("w{}", ++watches_), fd, wanted);
  entry.on_call = std::move(on_call);
  entry.on_free = std::move(on_free);
  if (std::this_thread::get_id() == loop_thread_ && in_watch_callback_) entry.added_in_turn = turn_number_;
  return entry;
}

Entry &World::added(Entry &entry, int id) {
  entry.id = id;
  if (id == -1) entry.state = Entry::State::kRefused;
  if (id == 0 || id < -1) violation(entry, fmt::format("row 1: add answered {}", id));
  return entry;
}

Entry &World::add_handle(int fd, int events, Entry::OnCall on_call, Entry::OnFree on_free) {
  Entry &entry = create(false, fd, events, std::move(on_call), std::move(on_free));
  return added(entry, inside([&] { return virEventAddHandle(fd, events, handle_called, &entry, entry_freed); }));
}

Entry &World::add_timeout(int milliseconds, Entry::OnCall on_call, Entry::OnFree on_free) {
  Entry &entry = create(true, -1, milliseconds, std::move(on_call), std::move(on_free));
  return added(entry, inside([&] { return virEventAddTimeout(milliseconds, timeout_called, &entry, entry_freed); }));
}

void World::update(Entry &entry, int wanted) {
  entry.wanted = wanted;
  inside([&] { entry.is_timeout ? virEventUpdateTimeout(entry.id, wanted) : virEventUpdateHandle(entry.id, wanted); });
}

int World::remove(Entry &entry) {
  Entry::State live = Entry::State::kLive;
  const bool first = entry.state.compare_exchange_strong(live, Entry::State::kRemoving);
  const int answer =
      inside([&] { return entry.is_timeout ? virEventRemoveTimeout(entry.id) : virEventRemoveHandle(entry.id); });
  if (first && answer != 0) violation(entry, fmt::format("row 11: the remove answered {}", answer));
  if (!first && answer != -1) violation(entry, fmt::format("row 11: a second remove answered {}", answer));
  // `ff` may have run on the loop's thread by now; then the state has gone on to kFreed.
  Entry::State removing = Entry::State::kRemoving;
  entry.state.compare_exchange_strong(removing, Entry::State::kRemoved);
  return answer;
}

Calls World::quiet_turn() {
  for (int attempt = 0; attempt < kPatience; ++attempt) {
    ++turn_number_;
    calls_.clear();
    frees_ = 0;
    loop_.turn(Wait::kNo);
    if (calls_.empty() && frees_ > 0) continue;
    std::sort(calls_.begin(), calls_.end());
    return calls_;
  }
  throw std::runtime_error("the loop goes on freeing without end");
}

Calls World::turn() {
  Calls calls = quiet_turn();
  note(fmt::format("turn: {}", fmt::join(calls, ", ")));
  return calls;
}

std::size_t World::turn_count() {
  const std::size_t count = quiet_turn().size();
  note(fmt::format("turn: {} calls", count));
  return count;
}

void World::settle() {
  for (int turns = 0; turns < kSettling; ++turns) quiet_turn();
}

Calls World::steady() {
  settle();
  Calls last = quiet_turn();
  for (int attempt = 0; attempt < kSteadyPatience; ++attempt) {
    Calls now = quiet_turn();
    if (now == last) {
      note(fmt::format("steady: {}", fmt::join(now, ", ")));
      return now;
    }
    last = std::move(now);
  }
  throw std::runtime_error(fmt::format("what a turn calls goes on changing; last: {}", fmt::join(last, ", ")));
}

int World::wait_until(const std::function<bool()> &done) {
  int turns = 0;
  for (; !done(); ++turns) {
    ++turn_number_;
    calls_.clear();
    loop_.turn(Wait::kYes);
  }
  return turns;
}

int World::own(int fd) {
  if (fd < 0) throw std::runtime_error(fmt::format("an fd could not be had: {}", std::strerror(errno)));
  const std::lock_guard<std::mutex> lock(mutex_);
  owned_.insert(fd);
  return fd;
}

void World::close(int fd) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (owned_.erase(fd) == 0) throw std::runtime_error(fmt::format("fd {} is not the scenario's to close", fd));
  }
  ::close(fd);
}

void World::finish() {
  for (Entry &entry : entries_) {
    // What they refer to went with the scenario's body.
    entry.on_call = nullptr;
    entry.on_free = nullptr;
    if (entry.state == Entry::State::kLive) remove(entry);
  }
  for (int turns = 0; turns < kPatience && !unfreed().empty(); ++turns) quiet_turn();
  const std::string left = unfreed();
  if (!left.empty()) throw std::runtime_error("row 16: removed, and never freed: " + left);
  settle();  // a call or a second `ff` that comes late is judged too
  for (const int fd : owned_) ::close(fd);
  owned_.clear();
  note_ends(false);
  note_ends(true);
}

// Watches and timeouts apart: where several threads add, their common order is anybody's.
void World::note_ends(bool timeouts) {
  for (const Entry &entry : entries_) {
    if (entry.is_timeout != timeouts) continue;
    note(fmt::format("{}: {}", entry.name, refused(entry) ? "refused" : fmt::format("freed {}", entry.frees.load())));
  }
}

std::string World::unfreed() {
  std::string names;
  for (const Entry &entry : entries_) {
    if (!refused(entry) && entry.frees == 0) names += entry.name + " ";
  }
  return names;
}

std::vector<std::string> World::violations() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return violations_;
}

void World::violation(const Entry &entry, const std::string &what) {
  const std::lock_guard<std::mutex> lock(mutex_);
  violations_.push_back(fmt::format("{}: {}", entry.name, what));
}

void World::handle_called(int watch, int fd, int events, void *opaque) {
  Entry &entry = *static_cast<Entry *>(opaque);
  entry.world.called(entry, watch, fd, events);
}

void World::timeout_called(int timer, void *opaque) {
  Entry &entry = *static_cast<Entry *>(opaque);
  entry.world.called(entry, timer, -1, 0);
}

void World::called(Entry &entry, int id, int fd, int events) {
  judge_call(entry, id, fd, events);
  ++entry.calls;
  ++depth_;
  const bool outer = in_watch_callback_;
  in_watch_callback_ = !entry.is_timeout;
  calls_.push_back(entry.is_timeout ? entry.name : entry.name + " " + bits_text(events));
  if (entry.on_call) entry.on_call(events);
  in_watch_callback_ = outer;
  --depth_;
}

void World::judge_call(const Entry &entry, int id, int fd, int events) {
  judge_place(entry, "called");
  const int known = entry.id;
  // 0: another thread's add has not returned yet.
  if (known != 0 && id != known) violation(entry, "row 1: called with another id");
  if (fd != entry.fd) violation(entry, fmt::format("called with fd {} in place of {}", fd, entry.fd));
  if (entry.state == Entry::State::kRefused) violation(entry, "row 2: called although add had answered -1");
  if (entry.state == Entry::State::kFreed) violation(entry, "row 16: called after its ff");
  if (entry.added_in_turn == turn_number_) violation(entry, "row 15: called in the iteration that added it");
  if (!racing_) judge_wanted(entry, events);
}

void World::judge_wanted(const Entry &entry, int events) {
  const int wanted = entry.wanted;
  if (entry.state == Entry::State::kRemoving || entry.state == Entry::State::kRemoved) {
    violation(entry, "row 13: called after it was removed");
  }
  if (entry.is_timeout) {
    if (wanted < 0) violation(entry, "row 20: called while disabled");
    return;
  }
  const int allowed = wanted | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP;
  if (wanted == 0) violation(entry, fmt::format("rows 5 and 8: called with {} while its mask is 0", bits_text(events)));
  if ((events & ~allowed) != 0) {
    violation(entry, fmt::format("row 8: called with {} while its mask is {}", bits_text(events), bits_text(wanted)));
  }
  if (events == 0) violation(entry, "row 4: called with no bit at all");
}

void World::judge_place(const Entry &entry, const char *what) {
  if (std::this_thread::get_id() != loop_thread_) violation(entry, fmt::format("row 16: {} on another thread", what));
  if (inside_libvirt) violation(entry, fmt::format("rows 2 and 17: {} from within a virEvent function", what));
  if (depth_ > 0) violation(entry, fmt::format("rows 12 and 16: {} from within another callback or ff", what));
}

void World::entry_freed(void *opaque) {
  Entry &entry = *static_cast<Entry *>(opaque);
  World &world = entry.world;
  world.judge_free(entry);
  entry.state = Entry::State::kFreed;
  ++entry.frees;
  ++world.frees_;
  ++world.depth_;
  if (entry.on_free) entry.on_free();
  --world.depth_;
}

void World::judge_free(const Entry &entry) {
  judge_place(entry, "freed");
  if (entry.state == Entry::State::kRefused) violation(entry, "row 2: freed although add had answered -1");
  if (entry.state == Entry::State::kLive) violation(entry, "row 16: freed, and nobody had removed it");
  if (entry.frees > 0) violation(entry, "row 16: freed again");
}

}  // namespace conformance
