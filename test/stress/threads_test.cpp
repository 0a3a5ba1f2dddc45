// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Eight threads add, update and remove watches and timeouts at random, over fds of every kind that they share, while
// the loop runs, is stopped, is run by another thread, is detached and attached to another loop. Callbacks change and
// remove as well.
//
// A model is held beside it: each watch and timeout has a Record, whose state only moves on (live, removed, freed), and
// every callback and `ff` is judged by it. Records are never freed before the end, so that a call that comes
// too late is seen, not a crash.
#include <atomic>
#include <climits>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"
#include "scale.hpp"

namespace {

constexpr int kWorkers = 8;
constexpr std::size_t kOwnedByEach = 24;
constexpr int kAttaches = 8;
constexpr int kRunsEach = 3, kIterationsEach = 20;

// One of each kind that the library tells apart, in several states.
class SharedFds {
 public:
  SharedFds() {
    for (unsigned i = 0; i < kSignals; ++i) signals_.emplace_back();
    hung_up_.peer.close();
    REQUIRE(write(readable_.peer.get(), "x", 1) == 1);
    for (const Fd *each : {&hung_up_.ours, &readable_.ours, &quiet_.ours}) fds_.push_back(each->get());
    for (Signal &each : signals_) fds_.push_back(each.get());
    int ends[2];
    for (const bool is_writer_gone : {true, false}) {
      REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
      Fd &reader = pipes_.emplace_back(ends[0]), &writer = pipes_.emplace_back(ends[1]);
      (is_writer_gone ? writer : reader).close();
      fds_.push_back(ends[is_writer_gone ? 0 : 1]);  // POLLHUP, POLLERR
    }
    fds_.push_back(null_.get());
  }

  int any(unsigned random) const { return fds_[random % fds_.size()]; }

  // Makes one readable, or takes that back.
  void flip(unsigned random) {
    const int fd = signals_[random % kSignals].get();
    eventfd_t value;
    if (eventfd_read(fd, &value) != 0) eventfd_write(fd, 1);
  }

 private:
  static constexpr unsigned kSignals = 6;
  std::deque<Signal> signals_;
  SocketPair hung_up_, readable_, quiet_;
  std::deque<Fd> pipes_;
  Fd null_{open("/dev/null", O_RDWR | O_CLOEXEC)};
  std::vector<int> fds_;
};

struct Model {
  std::atomic<std::uint64_t> callbacks{0}, frees{0}, removed_inside{0};
  std::atomic<std::uint64_t> after_free{0}, after_own_remove{0}, freed_twice{0}, freed_live{0};
  std::atomic<std::uint64_t> wrong_id{0}, wrong_thread{0}, wrong_answer{0};
  std::atomic<bool> in_callback{false};
  std::atomic<std::uint64_t> ff_inside_callback{0};
  std::atomic<std::thread::id> loops_thread{std::this_thread::get_id()};
};

struct Record {
  enum State { kLive, kRemoving, kRemovedInside, kFreed };
  Model *model;
  bool is_timeout;
  std::atomic<int> state{kLive};
  std::atomic<int> id{0};  // 0: add has not returned yet
  std::mt19937 inside{1};  // the loop's thread only

  // The one who gets it from live to `how` removes it.
  bool claim(State how) {
    int live = kLive;
    return state.compare_exchange_strong(live, how);
  }

  int remove(int known) const { return is_timeout ? virt_uv_remove_timeout(known) : virt_uv_remove_handle(known); }

  void update(int known, unsigned random) const {
    if (is_timeout)
      virt_uv_update_timeout(known, static_cast<int>(random % 5) - 1);
    else
      virt_uv_update_handle(known, static_cast<int>(random % 16));
  }

  void called(int with_id) {
    ++model->callbacks;
    if (std::this_thread::get_id() != model->loops_thread.load()) ++model->wrong_thread;
    const int now = state;
    if (now == kFreed) ++model->after_free;
    if (now == kRemovedInside) ++model->after_own_remove;
    const int own = id;
    if (own != 0 && own != with_id) ++model->wrong_id;
    const auto random = static_cast<unsigned>(inside());
    if (random % 16 == 0) update(with_id, random / 16);
    if (random % 64 == 1 && claim(kRemovedInside)) {
      ++model->removed_inside;
      if (remove(with_id) != 0) ++model->wrong_answer;
    }
  }

  static void on_event(int watch, int, int, void *opaque) {
    Record &self = *static_cast<Record *>(opaque);
    self.model->in_callback = true;
    self.called(watch);
    self.model->in_callback = false;
  }
  static void on_timeout(int timer, void *opaque) { on_event(timer, -1, 0, opaque); }
  static void on_free(void *opaque) {
    Record &self = *static_cast<Record *>(opaque);
    if (std::this_thread::get_id() != self.model->loops_thread.load()) ++self.model->wrong_thread;
    if (self.model->in_callback) ++self.model->ff_inside_callback;
    const int before = self.state.exchange(kFreed);
    if (before == kFreed) ++self.model->freed_twice;
    if (before == kLive) ++self.model->freed_live;
    ++self.model->frees;
  }
};

// One thread's share of the load: the records that it has made, of which `live` were registered when it last looked.
class Worker {
 public:
  Worker(Model &model, SharedFds &fds, unsigned seed) : model_(model), fds_(fds), random_(seed) {}

  // Goes on until `operations` are done and the loop has come and gone often enough.
  void run(std::uint64_t operations, const std::atomic<int> &attaches) {
    for (; done_ < operations || attaches < kAttaches; ++done_) {
      step();
      if (done_ % 64 == 0) std::this_thread::yield();
    }
    while (!live_.empty()) remove(live_.size() - 1);
  }

  std::uint64_t done() const { return done_; }
  std::uint64_t added() const { return records_.size(); }
  std::uint64_t refused() const { return refused_; }
  bool all_freed() const {
    for (const auto &record : records_)
      if (record.state != Record::kFreed) return false;
    return true;
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  void step() {
    const unsigned what = below(32);
    if (live_.size() < kOwnedByEach && (live_.empty() || what < 2)) return add();
    const unsigned which = below(static_cast<unsigned>(live_.size()));
    if (what == 2 || what == 3)
      remove(which);
    else if (what == 4)
      fds_.flip(below(UINT_MAX));
    else if (what == 5)
      look();
    else
      live_[which]->update(live_[which]->id, below(UINT_MAX));
  }

  void add() {
    records_.emplace_back();
    Record &record = records_.back();
    record.model = &model_;
    record.is_timeout = below(2) != 0;
    const int id = record.is_timeout ? virt_uv_add_timeout(static_cast<int>(below(5)) - 1, Record::on_timeout, &record,
                                                           Record::on_free)
                                     : add_watch(record);
    if (id < 0) {
      ++refused_;
      records_.pop_back();
      return;
    }
    record.id = id;
    live_.push_back(&record);
  }

  // Some fds are closed at once, and the next open anywhere takes the number.
  int add_watch(Record &record) {
    const int events = static_cast<int>(below(16));
    if (below(4) != 0)
      return virt_uv_add_handle(fds_.any(below(UINT_MAX)), events, Record::on_event, &record, Record::on_free);
    const int fd = eventfd(1, EFD_CLOEXEC);
    const int id = virt_uv_add_handle(fd, events, Record::on_event, &record, Record::on_free);
    close(fd);
    return id;
  }

  void remove(std::size_t which) {
    Record &record = *live_[which];
    live_[which] = live_.back();
    live_.pop_back();
    if (record.claim(Record::kRemoving) && record.remove(record.id) != 0) ++model_.wrong_answer;
    // From then on the id is stale. Where a callback was first and is still about to remove it, either may be told 0.
    if (record.state != Record::kRemovedInside && record.remove(record.id) != -1) ++model_.wrong_answer;
    record.update(record.id, below(UINT_MAX));
  }

  void look() {
    if (virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr) < 0) ++model_.wrong_answer;
    virt_uv_loop();
  }

  Model &model_;
  SharedFds &fds_;
  std::mt19937 random_;
  std::deque<Record> records_;
  std::vector<Record *> live_;
  std::uint64_t done_ = 0;
  std::uint64_t refused_ = 0;
};

// Runs the loop for some iterations, on a thread of its own now and then.
void run_for_a_while(Model &model, Loop &loop, int iterations, bool elsewhere) {
  struct Limit {
    int left;
    static void count(uv_check_t *check) {
      if (--static_cast<Limit *>(check->data)->left == 0) uv_stop(check->loop);
    }
  } limit{iterations};
  uv_check_t check;
  uv_check_init(loop.get(), &check);
  check.data = &limit;
  uv_check_start(&check, Limit::count);
  uv_idle_t awake;  // the workers need not wake this loop for it to end
  uv_idle_init(loop.get(), &awake);
  uv_idle_start(&awake, [](uv_idle_t *) {});
  const auto run = [&] {
    model.loops_thread = std::this_thread::get_id();
    uv_run(loop.get(), UV_RUN_DEFAULT);
  };
  if (elsewhere)
    std::thread(run).join();
  else
    run();
  model.loops_thread = std::this_thread::get_id();
  loop.close(reinterpret_cast<uv_handle_t *>(&check));
  loop.close(reinterpret_cast<uv_handle_t *>(&awake));
}

}  // namespace

TEST_CASE("threads that add, update and remove at random lose nothing while the loop comes and goes") {
  const std::uint64_t operations = scaled(60000);
  const virt_uv_stats before = stats();
  Model model;
  SharedFds fds;
  std::deque<Worker> workers;
  for (unsigned i = 0; i < kWorkers; ++i) workers.emplace_back(model, fds, i + 1);
  std::atomic<int> working{kWorkers}, attaches{0};
  std::vector<std::thread> threads;
  for (Worker &worker : workers)
    threads.emplace_back([&] {
      worker.run(operations, attaches);
      --working;
    });

  Loop loops[2];
  while (working > 0) {
    Loop &loop = loops[attaches % 3 == 0];
    REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
    for (int run = 0; run < kRunsEach; ++run) run_for_a_while(model, loop, kIterationsEach, run % 2 != 0);
    REQUIRE(detach(loop));
    ++attaches;
  }
  for (std::thread &thread : threads) thread.join();
  REQUIRE(virt_uv_attach(loops[0].get(), nullptr) == 0);
  REQUIRE(drain(loops[0]));
  REQUIRE(detach(loops[0]));

  std::uint64_t added = 0, done = 0;
  for (const Worker &worker : workers) {
    added += worker.added();
    done += worker.done();
    CHECK(worker.refused() == 0);
    CHECK(worker.all_freed());
  }
  CHECK(model.frees == added);
  CHECK(model.after_free == 0);
  CHECK(model.after_own_remove == 0);
  CHECK(model.freed_twice == 0);
  CHECK(model.freed_live == 0);
  CHECK(model.wrong_id == 0);
  CHECK(model.wrong_thread == 0);
  CHECK(model.wrong_answer == 0);
  CHECK(model.ff_inside_callback == 0);
  CHECK(model.callbacks > 0);
  CHECK(model.removed_inside > 0);
  const virt_uv_stats after = stats();
  CHECK(after.watches + after.timeouts + after.frees_pending == 0);
  CHECK(after.adds == after.frees);
  CHECK(after.failures == before.failures);
  WARN(done << " operations, " << added << " adds, " << model.callbacks << " callbacks, " << attaches << " attaches");
}

TEST_CASE("the counts of get_stats never come out negative while threads are at work") {
  constexpr std::uint64_t kReadings = 100;
  Host host;
  const std::uint64_t rounds = scaled(20000);
  std::atomic<int> working{2};
  std::atomic<std::uint64_t> readings{0};
  std::vector<std::thread> threads;
  Signal signal;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      for (std::uint64_t round = 0; round < rounds || readings < kReadings; ++round) {
        virt_uv_remove_timeout(virt_uv_add_timeout(
            0, [](int, void *) {}, nullptr, nullptr));
        virt_uv_remove_handle(virt_uv_add_handle(
            signal.get(), VIR_EVENT_HANDLE_READABLE, [](int, int, int, void *) {}, nullptr, nullptr));
      }
      --working;
    });
  std::uint64_t negative = 0;
  std::thread reader([&] {
    constexpr std::uint64_t kMany = std::uint64_t{1} << 32;
    for (; working > 0; ++readings) {
      virt_uv_stats now = VIRT_UV_STATS_INIT;
      virt_uv_get_stats(&now);
      if (now.watches > kMany || now.timeouts > kMany || now.frees_pending > kMany) ++negative;
    }
  });
  while (working > 0) host.loop.turn(10);
  for (std::thread &thread : threads) thread.join();
  reader.join();
  CHECK(negative == 0);
  CHECK(drain(host.loop));
}
