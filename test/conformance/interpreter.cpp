// SPDX-License-Identifier: LGPL-2.1-or-later
//
// See interpreter.hpp.
#include "interpreter.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace conformance {
namespace {

constexpr int kIterationsToQuiet = 4;
constexpr int kAttempts = 20;
// A timeout of no more than this is waited for; a longer one never fires while a program runs.
constexpr int kSoonMs = 5;
constexpr int kBytes = 8;  // an eventfd takes no other number

bool is_soon(int milliseconds) { return milliseconds > 0 && milliseconds <= kSoonMs; }

Ends make_channel(World &world, const std::string &kind) {
  if (kind == "pipe") return make_pipe(world);
  if (kind == "fifo") return make_fifo(world);
  if (kind == "stream") return make_socketpair(world, SOCK_STREAM);
  if (kind == "seqpacket") return make_socketpair(world, SOCK_SEQPACKET);
  if (kind == "tcp") return make_tcp(world);
  if (kind == "terminal") return make_terminal(world);
  if (kind == "eventfd") return {make_eventfd(world, 0), -1};
  if (kind == "file") return {make_file(world, O_RDWR), -1};
  if (kind == "null") return {make_dev_null(world), -1};
  throw std::runtime_error("no kind of channel: " + kind);
}

// What one end does comes to the other a moment later.
bool takes_its_time(const std::string &kind) { return kind == "tcp" || kind == "terminal"; }

bool can_be_full(const std::string &kind) { return kind != "file" && kind != "null" && !takes_its_time(kind); }

bool is_socket(const std::string &kind) { return kind == "tcp" || kind == "stream" || kind == "seqpacket"; }

}  // namespace

// --- Operations ---

const std::map<std::string, Interpreter::Operation> &Interpreter::operations() {
  using Self = Interpreter &;
  using Words = const std::vector<std::string> &;
  static const std::map<std::string, Operation> all = {
      {"open", {2, [](Self self, Words words) { self.open(std::stoi(words[0]), words[1]); }}},
      {"write", {1, [](Self self, Words words) { self.write(words[0]); }}},
      {"drain", {1, [](Self self, Words words) { self.drain_end(words[0]); }}},
      {"fill", {1, [](Self self, Words words) { self.fill_end(words[0]); }}},
      {"shutdown", {1, [](Self self, Words words) { self.shut(words[0]); }}},
      {"reset", {1, [](Self self, Words words) { self.close(words[0], "reset"); }}},
      {"close", {2, [](Self self, Words words) { self.close(words[0], words[1]); }}},
      {"add", {3, [](Self self, Words words) { self.add(words[0], words[1], std::stoi(words[2])); }}},
      {"addt", {2, [](Self self, Words words) { self.add_timeout(words[0], std::stoi(words[1])); }}},
      {"update", {2, [](Self self, Words words) { self.update(words[0], std::stoi(words[1])); }}},
      {"remove", {1, [](Self self, Words words) { self.remove(words[0]); }}},
      {"stale", {2, [](Self self, Words words) { self.stale(words[0], std::stoi(words[1])); }}},
      {"run", {0, [](Self self, Words) { self.run_iteration(); }}},
      {"await", {1, [](Self self, Words words) { self.await_call(words[0]); }}},
  };
  return all;
}

void Interpreter::run(const std::string &line) {
  run_line(line);
  if (std::exchange(peer_waits_, false)) run_until_quiet();
  judge_flags();
}

void Interpreter::run_line(const std::string &line) {
  std::istringstream words(line);
  std::string name, slot, rest;
  words >> name;
  if (name == "remote") {
    std::getline(words >> std::ws, rest);
    run_remotely(rest);
  } else if (name == "hook") {
    std::getline(words >> slot >> std::ws, rest);
    hook(slot, rest);
  } else {
    const std::vector<std::string> arguments{std::istream_iterator<std::string>(words), {}};
    const auto found = operations().find(name);
    if (found == operations().end() || found->second.arguments != arguments.size()) {
      throw std::runtime_error("no operation: " + line);
    }
    found->second.run(*this, arguments);
  }
}

void Interpreter::run_remotely(const std::string &line) {
  std::thread([&] { run_guarded(line); }).join();
}

// Where an exception has nowhere to go: in a thread, and in a callback, above which are frames of C.
void Interpreter::run_guarded(const std::string &line) {
  try {
    run_line(line);
  } catch (const std::exception &error) {
    world_.note(fmt::format("WRONG: {}: {}", line, error.what()));
  }
}

// --- Channels ---

int &Interpreter::fd(const std::string &end) { return channels_.at(end.at(0) - '0').fds[end.at(1) - 'a']; }
int &Interpreter::peer(const std::string &end) { return channels_.at(end.at(0) - '0').fds['b' - end.at(1)]; }
const std::string &Interpreter::kind(const std::string &end) { return channels_.at(end.at(0) - '0').kind; }

void Interpreter::open(int channel, const std::string &kind) {
  if (channels_.at(channel).fds[0] >= 0 || channels_.at(channel).fds[1] >= 0) return;
  const Ends ends = make_channel(world_, kind);
  channels_.at(channel) = {kind, {ends.a, ends.b}, {fcntl(ends.a, F_GETFL), fcntl(ends.b, F_GETFL)}};
}

void Interpreter::judge_flags() {
  for (const Channel &channel : channels_) {
    for (const int end : {0, 1}) {
      const int fd = channel.fds[end];
      if (fd < 0 || fcntl(fd, F_GETFL) == channel.flags[end]) continue;
      world_.note(fmt::format("WRONG: row 18: the flags of an end of a {} have changed", channel.kind));
    }
  }
}

// In a callback, the end of a peer whose watch was removed comes later on one loop than on another (known.cpp): what is
// done to an end meanwhile would meet another state of it.
bool Interpreter::can_use(const std::string &end) { return fd(end) >= 0 && !(peer(end) < 0 && peer_waits_); }

void Interpreter::write(const std::string &end) {
  if (!can_use(end) || !put_some(fd(end), kBytes)) return;
  if (takes_its_time(kind(end)) && peer(end) >= 0) await(peer(end), POLLIN);
}

void Interpreter::drain_end(const std::string &end) {
  if (can_use(end)) drain(fd(end));
}

void Interpreter::fill_end(const std::string &end) {
  if (can_use(end) && can_be_full(kind(end))) fill(fd(end));
}

void Interpreter::shut(const std::string &end) {
  if (!can_use(end) || !is_socket(kind(end)) || shutdown(fd(end), SHUT_WR) < 0) return;
  if (peer(end) >= 0) await(peer(end), POLLRDHUP);
}

void Interpreter::close(const std::string &end, const std::string &how) {
  if (fd(end) < 0 || (how == "reset" && kind(end) != "tcp")) return;
  const int closing = std::exchange(fd(end), -1);
  if (how == "first") world_.close(closing);
  for (auto &[name, slot] : slots_) {
    if (slot.end != end || !live(name)) continue;
    remove(name);
    peer_waits_ = true;
  }
  if (how == "reset") {
    reset(world_, closing);
  } else if (how != "first") {
    world_.close(closing);
  }
}

// --- Slots ---

bool Interpreter::live(const std::string &slot) const {
  const auto found = slots_.find(slot);
  return found != slots_.end() && found->second.entry != nullptr && found->second.entry->state == Entry::State::kLive;
}

void Interpreter::add(const std::string &slot, const std::string &end, int mask) {
  if (live(slot) || fd(end) < 0) return;
  Entry &entry = world_.add_handle(fd(end), mask, [this, slot](int) { called(slot); });
  slots_[slot] = {&entry, end};
  if (World::refused(entry)) world_.note(slot + ": refused");
}

void Interpreter::add_timeout(const std::string &slot, int milliseconds) {
  if (live(slot)) return;
  slots_[slot] = {&world_.add_timeout(milliseconds, [this, slot](int) { called(slot); }), ""};
}

void Interpreter::update(const std::string &slot, int wanted) {
  if (!live(slot)) return;
  world_.update(*slots_[slot].entry, wanted);
}

void Interpreter::remove(const std::string &slot) {
  if (live(slot)) world_.remove(*slots_[slot].entry);
}

void Interpreter::stale(const std::string &slot, int wanted) {
  if (slots_[slot].entry == nullptr || live(slot)) return;
  world_.update(*slots_[slot].entry, wanted);
  world_.remove(*slots_[slot].entry);
}

void Interpreter::called(const std::string &slot) {
  const Entry &entry = *slots_[slot].entry;
  // When it fires is a matter of the clock; a hook waits for the await that asks for it.
  if (entry.is_timeout && entry.wanted > 0 && slot != awaited_) return;
  if (slot != hooked_) return;
  const std::vector<std::string> operations = std::exchange(hook_, {});
  unhook();
  for (const std::string &operation : operations) run_guarded(operation);
}

void Interpreter::hook(const std::string &slot, const std::string &line) {
  if (!live(slot) || (!hooked_.empty() && hooked_ != slot)) return;
  hooked_ = slot;
  hook_.push_back(line);
}

void Interpreter::unhook() {
  hooked_.clear();
  hook_.clear();
}

// --- Iterations ---

Calls Interpreter::truth() const {
  Calls calls;
  for (const auto &[name, slot] : slots_) {
    if (!live(name)) continue;
    const Entry &entry = *slot.entry;
    if (entry.is_timeout && entry.wanted == 0) calls.push_back(entry.name);
    const int events = entry.is_timeout ? 0 : poll_truth(entry.fd, entry.wanted);
    if (events != 0) calls.push_back(entry.name + " " + bits_text(events));
  }
  std::sort(calls.begin(), calls.end());
  return calls;
}

// But for the timeouts that the clock decides.
Calls Interpreter::calls_of_an_iteration() {
  Calls calls = world_.run_quietly();
  for (const auto &[name, slot] : slots_) {
    if (slot.entry == nullptr || !slot.entry->is_timeout || slot.entry->wanted <= 0) continue;
    calls.erase(std::remove(calls.begin(), calls.end(), slot.entry->name), calls.end());
  }
  return calls;
}

void Interpreter::run_until_quiet() {
  for (int iterations = 0; iterations < kIterationsToQuiet; ++iterations) world_.run_quietly();
}

void Interpreter::run_iteration() {
  run_until_quiet();
  if (!hooked_.empty()) world_.note(hooked_ + ": was not called");
  unhook();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Calls before = truth();
    const Calls calls = calls_of_an_iteration();
    const Calls again = calls_of_an_iteration();
    if (truth() != before) continue;
    world_.note(fmt::format("iteration: {}", fmt::join(before, ", ")));
    if (calls != before) world_.note(fmt::format("WRONG: called: {}", fmt::join(calls, ", ")));
    if (again != before) world_.note(fmt::format("WRONG: called in the next iteration: {}", fmt::join(again, ", ")));
    return;
  }
  throw std::runtime_error("the state of the fds never stayed as it was");
}

void Interpreter::await_call(const std::string &slot) {
  if (hooked_ != slot) unhook();
  if (live(slot) && slots_[slot].entry->is_timeout && is_soon(slots_[slot].entry->wanted)) {
    awaited_ = slot;
    const Entry &entry = *slots_[slot].entry;
    const int before = entry.calls;
    world_.wait_until([&] { return entry.calls > before; });
    awaited_.clear();
  }
  unhook();
}

}  // namespace conformance
