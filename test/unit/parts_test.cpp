// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The core's parts that need no loop, each by itself.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "child.hpp"
#include "core/call_out.hpp"
#include "core/masks.hpp"
#include "core/slot_table.hpp"
#include "core/slot_word.hpp"
#include "core/timer_heap.hpp"
#include "loop/fd_kind.hpp"
#include "pipes.hpp"

using namespace virt_uv::core;
using virt_uv::loop::fd_kind;
using virt_uv::loop::inspect;
using virt_uv::loop::kind_by_name;

namespace {

struct Slot {
  int slot_id() const { return id_of(word.load()); }
  void set_free(int id) { word.store(free_word(id)); }

  std::atomic<std::uint64_t> word{0};
  std::uint32_t next = 0;
};

using Table = SlotTable<Slot>;

constexpr int kLastGeneration = INT_MAX >> Table::kIndexBits;

Slot *allocate(Table &table) {
  Lock lock(table.mutex());
  return table.allocate();
}

int allocate_id(Table &table) {
  const Slot *slot = allocate(table);
  return slot != nullptr ? slot->slot_id() : -1;
}

void free_id(Table &table, int id) {
  Lock lock(table.mutex());
  table.free(*table.find(id));
}

// As if the slot of `id` had been reused so often that this is its last generation.
int age(Table &table, int id) {
  const int aged = kLastGeneration << Table::kIndexBits | static_cast<int>(Table::index_of(id));
  table.find(id)->word.store(free_word(aged));
  return aged;
}

}  // namespace

TEST_CASE("the first id is 1, and ids are positive") {
  Table table;
  CHECK(allocate_id(table) == 1);
  CHECK(allocate_id(table) == 2);
}

TEST_CASE("a slot that is given back is taken next, under another id") {
  Table table;
  const int first = allocate_id(table);
  free_id(table, first);
  const int second = allocate_id(table);
  CHECK(second != first);
  CHECK(second > 0);
  CHECK(Table::index_of(second) == Table::index_of(first));
  CHECK_FALSE(is_live_as(table.find(first)->word.load() | kLive, first));
}

TEST_CASE("an id of a slot that was never used finds nothing, or a slot that is not live") {
  Table table;
  allocate_id(table);
  for (const int id : {0, -1, INT_MIN, INT_MAX, 1 << Table::kIndexBits, 1 << Table::kChunkBits}) {
    const Slot *slot = table.find(id);
    CHECK((slot == nullptr || !is_live_as(slot->word.load(), id)));
  }
}

TEST_CASE("every generation of a slot has an id of its own") {
  Table table;
  std::vector<int> ids;
  int id = allocate_id(table);
  for (int generation = 0; generation <= kLastGeneration; ++generation) {
    ids.push_back(id);
    free_id(table, id);
    id = allocate_id(table);
  }
  std::sort(ids.begin(), ids.end());
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  CHECK(ids.front() == 1);
  CHECK(Table::index_of(id) == 2);  // the first slot's generations are spent, so the next is a fresh one
}

TEST_CASE("a spent slot is reused only after every other one, and the oldest first") {
  Table table;
  for (std::uint32_t index = 1; index <= Table::kMaxIndex; ++index) {
    const int id = allocate_id(table);
    if (Table::index_of(id) != index) FAIL("a fresh slot was to be had");
    free_id(table, age(table, id));
  }
  CHECK(allocate_id(table) == 1);
  CHECK(allocate_id(table) == 2);
}

TEST_CASE("a full table reports that there is no slot, until one is given back") {
  Table table;
  for (std::uint32_t index = 1; index <= Table::kMaxIndex; ++index) allocate_id(table);
  CHECK(allocate(table) == nullptr);
  free_id(table, 7);
  const int id = allocate_id(table);
  CHECK(Table::index_of(id) == 7);
  CHECK(allocate(table) == nullptr);
}

TEST_CASE("a dirty list hands out what was pushed, the first first, and what is pushed meanwhile the next time") {
  Table table;
  DirtyList<Table> dirty(table);
  std::vector<std::uint32_t> seen;
  for (int i = 0; i < 3; ++i) dirty.push(*allocate(table));
  dirty.consume([&](Slot &slot) {
    seen.push_back(table.index_of(slot));
    if (seen.size() == 1) dirty.push(slot);
  });
  CHECK(seen == std::vector<std::uint32_t>{1, 2, 3});
  CHECK_FALSE(dirty.empty());
  dirty.consume([&](Slot &slot) { seen.push_back(table.index_of(slot)); });
  CHECK(seen.back() == 1);
  CHECK(dirty.empty());
}

TEST_CASE("a dirty list loses nothing that several threads push while it is taken") {
  constexpr int kThreads = 4, kEach = 5000;
  Table table;
  DirtyList<Table> dirty(table);
  std::vector<Slot *> slots;
  for (int i = 0; i < kThreads * kEach; ++i) slots.push_back(allocate(table));
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) dirty.push(*slots[static_cast<std::size_t>(t * kEach + i)]);
      --running;
    });
  std::vector<int> seen(slots.size() + 1);
  const auto consume = [&] { dirty.consume([&](Slot &slot) { ++seen[table.index_of(slot)]; }); };
  while (running > 0) consume();
  for (std::thread &thread : threads) thread.join();
  consume();
  CHECK(std::count(seen.begin() + 1, seen.end(), 1) == kThreads * kEach);
}

TEST_CASE("a slot queue is first in, first out, and empties") {
  Table table;
  SlotQueue<Table> queue(table);
  Slot &first = *allocate(table), &second = *allocate(table);
  queue.push(first);
  queue.push(second);
  CHECK(&queue.pop() == &first);
  queue.push(first);
  CHECK(&queue.pop() == &second);
  CHECK(&queue.pop() == &first);
  CHECK(queue.empty());
}

TEST_CASE("a retry list is due once for each request, and hands out what was pushed") {
  Table table;
  RetryList<Table> deferred(table);
  CHECK(deferred.due() == kNever);
  CHECK_FALSE(deferred.is_due());
  deferred.request();
  CHECK(deferred.is_due());
  CHECK_FALSE(deferred.is_due());
  Slot &slot = *allocate(table);
  deferred.push(slot);
  CHECK(deferred.due() != kNever);
  int seen = 0;
  deferred.consume([&](Slot &each) { seen += &each == &slot ? 1 : 100; });
  CHECK(seen == 1);
  CHECK(deferred.due() == kNever);
  deferred.push(slot);
  deferred.clear();
  CHECK(deferred.due() == kNever);
  deferred.consume([&](Slot &) { ++seen; });
  CHECK(seen == 1);
}

TEST_CASE("a timer heap keeps the earliest deadline first through any changes") {
  struct Item {
    std::size_t heap_place = kNotInHeap;
    std::uint64_t due = kNotInHeap;
  };
  TimerHeap<Item> heap;
  std::vector<Item> items(200);
  std::mt19937 random(4);
  for (int step = 0; step < 20000; ++step) {
    Item &item = items[random() % items.size()];
    if (random() % 3 == 0) {
      heap.erase(item);
      item.due = kNotInHeap;
    } else {
      item.due = random() % 1000;
      heap.reserve_one();
      heap.set(item, item.due);
    }
    std::uint64_t earliest = kNotInHeap;
    for (const Item &each : items) earliest = std::min(earliest, each.due);
    REQUIRE(heap.empty() == (earliest == kNotInHeap));
    if (heap.empty()) continue;
    REQUIRE(heap.first_due() == earliest);
    REQUIRE(heap.first().due == earliest);
  }
}

TEST_CASE("call statistics count calls, and keeps the last time and the longest call apart") {
  constexpr std::uint64_t kThirtyYearsMs = 30ull * 365 * 24 * 3600 * 1000;
  CallStats stats;
  stats.called(kThirtyYearsMs);
  stats.took(25'000);
  CHECK(stats.count() == 1);
  CHECK(stats.last_ms() == kThirtyYearsMs);
  CHECK(stats.longest_us() == 30);  // rounded up to ten
  stats.called(kThirtyYearsMs + 1);
  stats.took(1'000);
  CHECK(stats.count() == 2);
  CHECK(stats.last_ms() == kThirtyYearsMs + 1);
  CHECK(stats.longest_us() == 30);
  stats.took(UINT64_MAX);
  CHECK(stats.last_ms() == kThirtyYearsMs + 1);
  CHECK(stats.longest_us() / 1'000'000 == 167);
  stats.reset();
  CHECK(stats.count() + stats.last_ms() + stats.longest_us() == 0);
}

TEST_CASE("ERROR and HANGUP come with every mask but 0, and unknown bits ask for nothing") {
  CHECK(deliverable(0) == 0);
  CHECK(deliverable(kReadable) == (kReadable | kError | kHangup));
  CHECK(deliverable(kHangup) == (kError | kHangup));
  CHECK(deliverable(~(kReadable | kWritable | kError | kHangup)) == 0);
  CHECK(deliverable(INT_MIN) == 0);
  CHECK(deliverable(-1) == (kReadable | kWritable | kError | kHangup));
}

TEST_CASE("inspect tells what poll(2) tells") {
  SocketPair pair;
  CHECK(inspect(pair.ours.get(), kReadable | kWritable) == kWritable);
  CHECK(inspect(pair.ours.get(), kReadable) == 0);
  pair.peer.close();
  CHECK(inspect(pair.ours.get(), kReadable) == (kReadable | kHangup));
  CHECK(inspect(pair.ours.get(), 0) == kHangup);
  const int closed = pair.ours.get();
  pair.ours.close();
  CHECK(inspect(closed, kReadable) == kError);
}

TEST_CASE("the kind of an fd says whether libuv's bits can be believed") {
  Signal signal;
  SocketPair pair;
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  Fd reader(pipes[0]), writer(pipes[1]);
  Fd unconnected(socket(AF_INET, SOCK_STREAM, 0));
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(fd_kind(signal.get()) == FdKind::kAnonymous);
  CHECK(kind_by_name(signal.get()) == FdKind::kPlain);
  CHECK(kind_by_name(reader.get()) == FdKind::kInspected);
  CHECK(fd_kind(pair.ours.get()) == FdKind::kSocket);
  CHECK(fd_kind(reader.get()) == FdKind::kInspected);
  CHECK(fd_kind(unconnected.get()) == FdKind::kInspected);  // POLLHUP without POLLRDHUP
  CHECK(fd_kind(-1) == FdKind::kInspected);
  CHECK(fd_kind(null.get()) == FdKind::kAlwaysReady);
}

TEST_CASE("a terminal is polled, whatever error went before") {
  const Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  errno = EPERM;  // what epoll says of a file that it does not take
  CHECK(fd_kind(terminal.get()) == FdKind::kInspected);
}

#ifdef VIRT_UV_CHECKS
TEST_CASE("calling out with a lock held aborts a build with checks") {
  Mutex mutex;
  const int status = status_of(fork_child([&] {
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    Lock lock(mutex);
    signal(SIGABRT, SIG_DFL);  // Catch2 has a handler
    calling_out();
    return 0;
  }));
  CHECK(WIFSIGNALED(status));
  calling_out();  // none is held here
}
#endif
