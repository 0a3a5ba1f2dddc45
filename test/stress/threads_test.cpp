// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Eight threads add, update and remove watches and timeouts at random, over fds of every kind that they share, while
// the loop runs, is stopped, is run by another thread, is detached and attached to another loop. Callbacks change and
// remove as well.
//
// Each watch and timeout has a Record, and every callback and `ff` is judged by the rules of support::Contract. Records
// are never freed before the end, so that a call that comes too late is seen, not a crash.
#include <atomic>
#include <climits>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "contract.hpp"
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
  Model() { contract.other_threads_decide(); }
  support::Contract contract;
  std::atomic<std::uint64_t> callbacks{0}, frees{0}, removed_inside{0};
};

struct Record : support::Registration {
  Record(Model &in_model, bool timeout, int watched_fd, int wanted_first)
      : Registration(timeout ? "timeout" : "watch", timeout, watched_fd, wanted_first), model(in_model) {}

  Model &model;
  std::mt19937 random_inside{1};  // the loop's thread only

  // In a callback the id may not be known yet here, as add has not returned on its thread.
  bool remove_once(int known) {
    return model.contract.remove_once(*this, [&] { return call_remove(known); });
  }
  void remove_again() {
    model.contract.remove(*this, [&] { return call_remove(id); });
  }

  void update(int known, unsigned random) {
    const int value = is_timeout ? static_cast<int>(random % 5) - 1 : static_cast<int>(random % 16);
    model.contract.update(
        *this, value, [&] { is_timeout ? virt_uv_update_timeout(known, value) : virt_uv_update_handle(known, value); });
  }

  void called(int with_id, int with_fd, int events) {
    const support::Contract::InCallback call(model.contract, *this, with_id, with_fd, events);
    ++model.callbacks;
    const auto random = static_cast<unsigned>(random_inside());
    if (random % 16 == 0) update(with_id, random / 16);
    if (random % 64 == 1 && remove_once(with_id)) ++model.removed_inside;
  }

  static void on_event(int watch, int fd, int events, void *opaque) {
    static_cast<Record *>(opaque)->called(watch, fd, events);
  }
  static void on_timeout(int timer, void *opaque) { on_event(timer, -1, 0, opaque); }
  static void on_free(void *opaque) {
    Record &self = *static_cast<Record *>(opaque);
    const support::Contract::InFree free(self.model.contract, self);
    ++self.model.frees;
  }

 private:
  int call_remove(int known) const { return is_timeout ? virt_uv_remove_timeout(known) : virt_uv_remove_handle(known); }
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
  std::uint64_t failed_walks() const { return failed_walks_; }
  void judge_end() {
    for (const Record &record : records_) model_.contract.judge_end(record);
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
    const bool is_timeout = below(2) != 0;
    const bool own_fd = !is_timeout && below(4) == 0;
    const int fd = is_timeout ? -1 : own_fd ? eventfd(1, EFD_CLOEXEC) : fds_.any(below(UINT_MAX));
    const int wanted = is_timeout ? static_cast<int>(below(5)) - 1 : static_cast<int>(below(16));
    Record &record = records_.emplace_back(model_, is_timeout, fd, wanted);
    const int id = model_.contract.add(record, [&] {
      return is_timeout ? virt_uv_add_timeout(wanted, Record::on_timeout, &record, Record::on_free)
                        : virt_uv_add_handle(fd, wanted, Record::on_event, &record, Record::on_free);
    });
    if (own_fd) close(fd);  // at once: the next open anywhere takes the number
    if (id < 0) {
      ++refused_;
      records_.pop_back();
      return;
    }
    live_.push_back(&record);
  }

  void remove(std::size_t which) {
    Record &record = *live_[which];
    live_[which] = live_.back();
    live_.pop_back();
    record.remove_once(record.id);
    // From then on the id is stale, except where a callback was first and has not removed it yet.
    if (record.state != Record::State::kRemovingInLoop) record.remove_again();
    record.update(record.id, below(UINT_MAX));
  }

  void look() {
    if (virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr) < 0) ++failed_walks_;
    virt_uv_loop();
  }

  Model &model_;
  SharedFds &fds_;
  std::mt19937 random_;
  std::deque<Record> records_;
  std::vector<Record *> live_;
  std::uint64_t done_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t failed_walks_ = 0;
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
    model.contract.set_loop_thread(std::this_thread::get_id());
    uv_run(loop.get(), UV_RUN_DEFAULT);
  };
  if (elsewhere)
    std::thread(run).join();
  else
    run();
  model.contract.set_loop_thread(std::this_thread::get_id());
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
  for (Worker &worker : workers) {
    added += worker.added();
    done += worker.done();
    CHECK(worker.refused() == 0);
    CHECK(worker.failed_walks() == 0);
    worker.judge_end();
  }
  CHECK(model.frees == added);
  CHECK(model.contract.violations() == std::vector<std::string>{});
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
  while (working > 0) host.loop.run_iterations(10);
  for (std::thread &thread : threads) thread.join();
  reader.join();
  CHECK(negative == 0);
  CHECK(drain(host.loop));
}
