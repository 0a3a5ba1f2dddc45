// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See world.hpp.
#include "world.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <libvirt/libvirt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace conformance {
namespace {

// The most iterations that anything promised may take: far more than any loop needs.
constexpr int kPatience = 10000;
constexpr int kSteadyPatience = 100;
// A change may take hold in the next iteration but one: for as long, two equal iterations prove nothing.
constexpr int kIterationsToQuiet = 3;

}  // namespace

World::World(Loop &loop, std::string scenario) : loop_(loop), scenario_(std::move(scenario)) {}

Entry &World::create(bool timeout, int fd, int wanted, Entry::OnCall on_call, Entry::OnFree on_free) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry &entry = entries_.emplace_back(
      *this, timeout ? fmt::format("t{}", ++timeouts_) : fmt::format("w{}", ++watches_), timeout, fd, wanted);
  entry.on_call = std::move(on_call);
  entry.on_free = std::move(on_free);
  return entry;
}

Entry &World::add_handle(int fd, int events, Entry::OnCall on_call, Entry::OnFree on_free) {
  Entry &entry = create(false, fd, events, std::move(on_call), std::move(on_free));
  contract_.add(entry, [&] { return virEventAddHandle(fd, events, handle_called, &entry, entry_freed); });
  return entry;
}

Entry &World::add_timeout(int milliseconds, Entry::OnCall on_call, Entry::OnFree on_free) {
  Entry &entry = create(true, -1, milliseconds, std::move(on_call), std::move(on_free));
  contract_.add(entry, [&] { return virEventAddTimeout(milliseconds, timeout_called, &entry, entry_freed); });
  return entry;
}

void World::update(Entry &entry, int wanted) {
  contract_.update(entry, wanted, [&] {
    entry.is_timeout ? virEventUpdateTimeout(entry.id, wanted) : virEventUpdateHandle(entry.id, wanted);
  });
}

int World::remove(Entry &entry) {
  return contract_.remove(
      entry, [&] { return entry.is_timeout ? virEventRemoveTimeout(entry.id) : virEventRemoveHandle(entry.id); });
}

Calls World::run_quietly() {
  for (int attempt = 0; attempt < kPatience; ++attempt) {
    contract_.begin_iteration();
    calls_.clear();
    frees_ = 0;
    loop_.run_iteration(Wait::kNo);
    if (calls_.empty() && frees_ > 0) continue;
    std::sort(calls_.begin(), calls_.end());
    return calls_;
  }
  throw std::runtime_error("the loop goes on freeing without end");
}

Calls World::run_iteration() {
  Calls calls = run_quietly();
  note(fmt::format("iteration: {}", fmt::join(calls, ", ")));
  return calls;
}

std::size_t World::turn_count() {
  const std::size_t count = run_quietly().size();
  note(fmt::format("iteration: {} calls", count));
  return count;
}

void World::run_until_quiet() {
  for (int iterations = 0; iterations < kIterationsToQuiet; ++iterations) run_quietly();
}

Calls World::steady() {
  run_until_quiet();
  Calls last = run_quietly();
  for (int attempt = 0; attempt < kSteadyPatience; ++attempt) {
    Calls now = run_quietly();
    if (now == last) {
      note(fmt::format("steady: {}", fmt::join(now, ", ")));
      return now;
    }
    last = std::move(now);
  }
  throw std::runtime_error(fmt::format("what an iteration calls goes on changing; last: {}", fmt::join(last, ", ")));
}

int World::wait_until(const std::function<bool()> &done) {
  int iterations = 0;
  for (; !done(); ++iterations) {
    contract_.begin_iteration();
    calls_.clear();
    loop_.run_iteration(Wait::kYes);
  }
  return iterations;
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
  for (int iterations = 0; iterations < kPatience && !unfreed().empty(); ++iterations) run_quietly();
  const std::string left = unfreed();
  if (!left.empty()) throw std::runtime_error("row 16: removed, and never freed: " + left);
  run_until_quiet();  // a call or a second `ff` that comes late is judged too
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

void World::handle_called(int watch, int fd, int events, void *opaque) {
  Entry &entry = *static_cast<Entry *>(opaque);
  entry.world.called(entry, watch, fd, events);
}

void World::timeout_called(int timer, void *opaque) {
  Entry &entry = *static_cast<Entry *>(opaque);
  entry.world.called(entry, timer, -1, 0);
}

void World::called(Entry &entry, int id, int fd, int events) {
  const support::Contract::InCallback call(contract_, entry, id, fd, events);
  calls_.push_back(entry.is_timeout ? entry.name : entry.name + " " + bits_text(events));
  if (entry.on_call) entry.on_call(events);
}

void World::entry_freed(void *opaque) {
  Entry &entry = *static_cast<Entry *>(opaque);
  const support::Contract::InFree free(entry.world.contract_, entry);
  ++entry.world.frees_;
  if (entry.on_free) entry.on_free();
}

}  // namespace conformance
