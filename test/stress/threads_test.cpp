// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Eight threads add, update and remove watches and timeouts at random, over fds that they share, while the loop runs, is
// stopped, is run by another thread, is detached and attached to another loop.
//
// A model is held beside it: each watch and timeout has a Record, whose state only moves on (live, removed, freed), and
// every callback and `ff` is judged by it. Records are never freed before the end, so that a call that comes
// too late is seen, not a crash.
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"
#include "scale.hpp"

// libuv closes fds by the bare system call, which ThreadSanitizer does not see: so it takes the next to get the number for
// another user of libuv's fd. Nothing but that happens below these functions.
extern "C" const char *__tsan_default_suppressions() { return "race:^uv_pipe$\nrace:^uv_loop_init$\n"; }

namespace {

constexpr int kWorkers = 8;
constexpr int kSharedFds = 12;
constexpr std::size_t kOwnedByEach = 24;
constexpr int kAttaches = 8;
constexpr int kRunsEach = 3, kIterationsEach = 20;

struct Model {
  std::atomic<std::uint64_t> callbacks{0}, frees{0};
  std::atomic<std::uint64_t> after_free{0}, freed_twice{0}, freed_live{0}, wrong_id{0};
  std::atomic<bool> in_callback{false};
  std::atomic<std::uint64_t> ff_inside_callback{0};
};

struct Record {
  enum State { kLive, kRemoving, kFreed };
  Model *model;
  std::atomic<int> state{kLive};
  std::atomic<int> id{0};  // 0: add has not returned yet
  bool is_timeout;

  void called(int with_id) {
    ++model->callbacks;
    if (state.load() == kFreed) ++model->after_free;
    const int own = id.load();
    if (own != 0 && own != with_id) ++model->wrong_id;
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
    if (self.model->in_callback) ++self.model->ff_inside_callback;
    const int before = self.state.exchange(kFreed);
    if (before == kFreed) ++self.model->freed_twice;
    if (before == kLive) ++self.model->freed_live;
    ++self.model->frees;
  }
};

// One thread's share of the load: the records that it has made, of which `live` are registered.
class Worker {
 public:
  Worker(Model &model, const std::deque<Signal> &fds, unsigned seed) : model_(model), fds_(fds), random_(seed) {}

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
    const unsigned what = below(16);
    if (live_.size() < kOwnedByEach && (live_.empty() || what == 0))
      add();
    else if (what == 1)
      remove(below(static_cast<unsigned>(live_.size())));
    else
      update(*live_[below(static_cast<unsigned>(live_.size()))]);
  }

  void add() {
    records_.emplace_back();
    Record &record = records_.back();
    record.model = &model_;
    record.is_timeout = below(2) != 0;
    const int id = record.is_timeout
                       ? virt_uv_add_timeout(frequency(), Record::on_timeout, &record, Record::on_free)
                       : virt_uv_add_handle(fds_[below(kSharedFds)].get(), static_cast<int>(below(16)),
                                            Record::on_event, &record, Record::on_free);
    if (id < 0) {
      ++refused_;
      records_.pop_back();
      return;
    }
    record.id = id;
    live_.push_back(&record);
  }

  void update(Record &record) {
    if (record.is_timeout)
      virt_uv_update_timeout(record.id, frequency());
    else
      virt_uv_update_handle(record.id, static_cast<int>(below(16)));
  }

  void remove(std::size_t which) {
    Record &record = *live_[which];
    live_[which] = live_.back();
    live_.pop_back();
    record.state = Record::kRemoving;
    const int removed = record.is_timeout ? virt_uv_remove_timeout(record.id) : virt_uv_remove_handle(record.id);
    if (removed != 0) ++refused_;
  }

  int frequency() { return static_cast<int>(below(5)) - 1; }

  Model &model_;
  const std::deque<Signal> &fds_;
  std::mt19937 random_;
  std::deque<Record> records_;
  std::vector<Record *> live_;
  std::uint64_t done_ = 0;
  std::uint64_t refused_ = 0;
};

// Runs the loop for some iterations, on a thread of its own now and then.
void run_for_a_while(Loop &loop, int iterations, bool elsewhere) {
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
  const auto run = [&] { uv_run(loop.get(), UV_RUN_DEFAULT); };
  if (elsewhere)
    std::thread(run).join();
  else
    run();
  loop.close(reinterpret_cast<uv_handle_t *>(&check));
  loop.close(reinterpret_cast<uv_handle_t *>(&awake));
}

}  // namespace

TEST_CASE("threads that add, update and remove at random lose nothing while the loop comes and goes") {
  const std::uint64_t operations = scaled(60000);
  const virt_uv_stats before = stats();
  Model model;
  std::deque<Signal> fds;
  for (int i = 0; i < kSharedFds; ++i) {
    fds.emplace_back();
    if (i % 2 == 0) fds.back().raise();
  }
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
    for (int run = 0; run < kRunsEach; ++run) run_for_a_while(loop, kIterationsEach, run % 2 != 0);
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
  CHECK(model.freed_twice == 0);
  CHECK(model.freed_live == 0);
  CHECK(model.wrong_id == 0);
  CHECK(model.ff_inside_callback == 0);
  CHECK(model.callbacks > 0);
  const virt_uv_stats after = stats();
  CHECK(after.watches + after.timeouts + after.frees_pending == 0);
  CHECK(after.adds == after.frees);
  CHECK(after.failures == before.failures);
  WARN(done << " operations, " << added << " adds, " << model.callbacks << " callbacks, " << attaches << " attaches");
}

TEST_CASE("the counts of get_stats never come out negative while threads are at work") {
  Host host;
  const std::uint64_t rounds = scaled(20000);
  std::atomic<int> working{2};
  std::vector<std::thread> threads;
  Signal signal;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        virt_uv_remove_timeout(virt_uv_add_timeout(0, [](int, void *) {}, nullptr, nullptr));
        virt_uv_remove_handle(
            virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, [](int, int, int, void *) {}, nullptr, nullptr));
      }
      --working;
    });
  std::uint64_t readings = 0, negative = 0;
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
  CHECK(readings > 0);
  CHECK(negative == 0);
  CHECK(drain(host.loop));
}
