// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Re-entry: every callback of the library calls every function of the header, and runs the loop, at random and at any
// depth; and now and then it throws.
//
// Everything is on one thread, so the rules hold without exception: nothing is called after it was removed, disabled
// or freed, no ff comes twice, and none while its callback is on the stack. libuv does not allow uv_run() in uv_run(),
// so nothing is said of the order.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"
#include "scale.hpp"

namespace {

// Lines that the log function causes itself go to stderr otherwise. Set before the library looks.
[[maybe_unused]] const int quiet = setenv("VIRT_UV_LOG", "none", 1);

enum Place : std::size_t {
  kHostsCode,
  kWatch,
  kAlwaysReady,
  kTimeout,
  kZeroTimeout,
  kFree,
  kDrained,
  kDetached,
  kLog,
  kWalk,
  kPlaces
};
constexpr const char *kPlaceNames[kPlaces] = {
    "the host's code",      "a watch's callback",     "an always-ready fd's callback",
    "a timeout's callback", "a 0 timeout's callback", "an ff",
    "a drain's callback",   "a detach's callback",    "the log function",
    "a walk's callback"};

// Fds of each kind, in states that do not change.
class Fds {
 public:
  Fds() {
    signal_.make_readable();
    REQUIRE(write(pair_.peer.get(), "x", 1) == 1);
    REQUIRE(shutdown(half_closed_.peer.get(), SHUT_WR) == 0);
    hung_up_.peer.close();
  }
  static bool is_always_ready(std::size_t index) { return index == 4; }
  static constexpr std::size_t kNumber = 5;
  int get(std::size_t index) const {
    const int all[kNumber] = {signal_.get(), pair_.ours.get(), half_closed_.ours.get(), hung_up_.ours.get(),
                              null_.get()};
    return all[index];
  }

 private:
  Signal signal_;
  SocketPair pair_, half_closed_, hung_up_;
  Fd null_{open("/dev/null", O_RDWR | O_CLOEXEC)};
};

class Reentry {
 public:
  struct Operation {
    const char *name;
    unsigned weight;
    void (Reentry::*run)();
  };
  static constexpr std::size_t kOperations = 19;
  static constexpr std::size_t kRun = kOperations - 1;  // uv_run
  static const std::array<Operation, kOperations> operations;

  explicit Reentry(unsigned seed) : random_(seed) {
    uv_idle_init(loop_.get(), &awake_);  // so that no uv_run() sleeps
    awake_.data = this;
    uv_idle_start(&awake_, [](uv_idle_t *) {});
  }

  // Makes that many calls.
  void make_calls(std::uint64_t number) {
    const std::uint64_t last = calls_ + number;
    while (calls_ < last) {
      const bool dives = one_in(8);
      deepest_ = dives ? kDeepest : 1 + pick(4);
      budget_ = dives ? 200 : 50;
      if (virt_uv_loop() == nullptr && pick(2) == 0) attach();
      if (one_in(10)) remove_all();  // so that the drains end
      call_something();
      run();
    }
  }

  void end() {
    ending_ = true;
    while (virt_uv_loop() == nullptr) {
      attach();
      loop_.run_iterations(1);
    }
    remove_all();
    CHECK(drain(loop_));
    CHECK(detach(loop_));
    loop_.close(reinterpret_cast<uv_handle_t *>(&awake_));
    expect(freed_ == made_, "each ff comes");
    expect(drained_ == drains_, "each drain's callback comes");
    expect(detached_ == detaches_, "each detach's callback comes");
    std::set<std::string> broken;
    for (const auto &[rule, times] : broken_) broken.insert(rule + ": broken " + std::to_string(times) + " times");
    CHECK(broken == std::set<std::string>{});
  }

  std::uint64_t calls() const { return calls_; }
  unsigned deepest_seen() const { return deepest_seen_; }

  // Each place and function of which the one did not call the other.
  std::set<std::string> not_called() const {
    std::set<std::string> missing;
    for (std::size_t place = 0; place < kPlaces; ++place)
      for (std::size_t i = 0; i < kOperations; ++i)
        if (called_[place][i] == 0) missing.insert(std::string(operations[i].name) + " in " + kPlaceNames[place]);
    return missing;
  }

 private:
  static constexpr std::size_t kMost = 20;
  static constexpr unsigned kDeepest = 30;

  struct One {
    Reentry *of;
    bool is_timeout;
    bool is_always_ready;
    int id;
    int wanted;  // events, or frequency
    bool removed = false, freed = false;
    int running = 0;

    void check_id(int told) { of->expect(id == told || id == -1, "a callback is told its id"); }
  };

  unsigned pick(unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(random_); }
  bool one_in(unsigned number) { return pick(number) == 0; }
  void expect(bool holds, const char *rule) {
    if (!holds) ++broken_[rule];
  }

  One *pick_live(bool is_timeout) {
    std::vector<One *> fitting;
    for (One *one : live_)
      if (one->is_timeout == is_timeout) fitting.push_back(one);
    return fitting.empty() ? nullptr : fitting[pick(static_cast<unsigned>(fitting.size()))];
  }

  // --- In a callback ---

  template <typename Value>
  class Restored {
   public:
    Restored(Value &value, Value meanwhile) : value_(value), before_(std::exchange(value, meanwhile)) {}
    ~Restored() { value_ = before_; }
    Restored(const Restored &) = delete;
    Restored &operator=(const Restored &) = delete;

   private:
    Value &value_;
    Value before_;
  };

  void act(Place place) {
    if (ending_) return;
    const Restored<Place> here(place_, place);
    for (unsigned i = pick(3); i > 0; --i) call_something();
    if (one_in(50)) throw std::runtime_error("for the log");
  }

  // The index of an operation: any, or one that this place has still to call.
  std::size_t pick_operation() {
    static const std::vector<unsigned> weights = [] {
      std::vector<unsigned> all;
      for (const Operation &each : operations) all.push_back(each.weight);
      return all;
    }();
    const std::size_t missing = static_cast<std::size_t>(
        std::find(called_[place_].begin(), called_[place_].end(), std::uint64_t{0}) - called_[place_].begin());
    if (missing < kOperations && one_in(4)) return missing;
    return std::discrete_distribution<std::size_t>(weights.begin(), weights.end())(random_);
  }

  void call_something() {
    if (budget_ == 0) return;
    --budget_;
    const bool dives = deepest_ == kDeepest && runs_ < deepest_ && one_in(2);
    std::size_t index = dives ? kRun : pick_operation();
    while (index == kRun && runs_ >= deepest_) index = pick_operation();
    ++called_[place_][index];
    ++calls_;
    (this->*operations[index].run)();
  }

  void called(One &one, Place place) {
    expect(!one.removed, "nothing is called once it is removed");
    expect(!one.freed, "nothing is called after its ff");
    const Restored<int> running(one.running, one.running + 1);
    act(place);
  }

  static void event(int id, int, int events, void *opaque) {
    One &one = *static_cast<One *>(opaque);
    one.check_id(id);
    const int allowed = one.wanted == 0 ? 0 : one.wanted | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP;
    one.of->expect(events != 0 && (events & ~allowed) == 0, "a watch is told of nothing that its mask leaves out");
    one.of->called(one, one.is_always_ready ? kAlwaysReady : kWatch);
  }
  static void timeout(int id, void *opaque) {
    One &one = *static_cast<One *>(opaque);
    one.check_id(id);
    one.of->expect(one.wanted >= 0, "a disabled timeout is not called");
    one.of->called(one, one.wanted == 0 ? kZeroTimeout : kTimeout);
  }
  static void free(void *opaque) {
    One &one = *static_cast<One *>(opaque);
    one.of->expect(one.removed, "no ff comes before the remove");
    one.of->expect(!std::exchange(one.freed, true), "no ff comes twice");
    one.of->expect(one.running == 0, "no ff comes while its callback runs");
    ++one.of->freed_;
    one.of->act(kFree);
  }
  static void drained(void *opaque) {
    Reentry &self = *static_cast<Reentry *>(opaque);
    ++self.drained_;
    self.act(kDrained);
  }
  static void detached(void *opaque) {
    Reentry &self = *static_cast<Reentry *>(opaque);
    ++self.detached_;
    self.act(kDetached);
  }
  static void log(virt_uv_log_level, const char *, void *opaque) { static_cast<Reentry *>(opaque)->act(kLog); }

  // --- The calls ---

  void attach() {
    uv_loop_t *const before = virt_uv_loop();
    virt_uv_options options = VIRT_UV_OPTIONS_INIT;
    options.log = log;
    options.log_opaque = this;
    options.slow_callback_ms = pick(2);
    const bool is_other = before != nullptr && one_in(4);
    const int err = virt_uv_attach(is_other ? other_.get() : loop_.get(), &options);
    if (is_other)
      expect(err == UV_EBUSY, "a second loop is refused");
    else
      expect(err == 0 || (err == UV_EBUSY && before == nullptr), "the loop that is attached may be attached again");
  }
  void detach_it() {
    const uv_loop_t *const before = virt_uv_loop();
    const int err = virt_uv_detach(detached, this);
    if (err == 0) ++detaches_;
    if (before != nullptr)
      expect(err == 0, "a loop that is attached can be detached");
    else
      expect(err == UV_ENOTCONN || err == UV_EALREADY, "what is not attached is refused");
  }
  void drain_it() {
    const bool has_loop = virt_uv_loop() != nullptr;
    const int err = virt_uv_drain(drained, this);
    expect(err == (has_loop ? 0 : UV_ENOTCONN), "drain wants a loop");
    if (err == 0) ++drains_;
  }
  void ask_loop() {
    const uv_loop_t *const loop = virt_uv_loop();
    expect(loop == nullptr || loop == loop_.get(), "the loop is the one that was attached");
  }
  void take_loop() {
    const bool has_loop = virt_uv_loop() != nullptr;
    expect(virt_uv_take_loop() == (has_loop ? 0 : UV_ENOTCONN), "the loop's thread may take a loop that is attached");
  }
  void ref() { virt_uv_ref(); }
  void unref() { virt_uv_unref(); }
  // Within an add, what is being added may be registered or not.
  bool is_registered(std::uint64_t number, std::size_t known) const {
    return number >= known && number <= known + adding_;
  }
  void get_stats() {
    const virt_uv_stats now = stats();
    expect(is_registered(now.watches + now.timeouts, live_.size()), "get_stats counts what is registered");
    expect(now.adds == now.watches + now.timeouts + now.frees_pending + now.frees, "what was added is in one count");
  }
  void walk() {
    if (one_in(8)) return expect(virt_uv_walk(nullptr, nullptr) == UV_EINVAL, "walk wants a callback");
    const std::size_t before = live_.size();
    const int number =
        virt_uv_walk([](const virt_uv_entry *, void *opaque) { static_cast<Reentry *>(opaque)->act(kWalk); }, this);
    expect(is_registered(static_cast<std::uint64_t>(number), before),
           "walk tells of what was registered when it was called");
  }
  void version() { expect(virt_uv_version() == VIRT_UV_VERSION_NUMBER, "the version is the header's"); }
  void version_string() { expect(virt_uv_version_string() != nullptr, "the version has a text"); }
  void report_exception() { virt_uv_report_exception(one_in(2) ? "an exception" : nullptr); }

  // `call` adds it, and returns the id.
  template <typename Call>
  void add(const One &wanted, Call &&call) {
    all_.push_back(std::make_unique<One>(wanted));
    One *const one = all_.back().get();
    ++adding_;
    one->id = call(one);
    --adding_;
    expect(one->id >= 1, "an add succeeds");
    ++made_;
    live_.push_back(one);
  }
  void add_handle() {
    const std::size_t fd = pick(Fds::kNumber);
    if (live_.size() >= kMost || one_in(8))
      return expect(virt_uv_add_handle(fds_.get(fd), 1, nullptr, nullptr, free) == -1, "an add wants a callback");
    const int events = static_cast<int>(pick(16));
    add(One{this, false, Fds::is_always_ready(fd), -1, events},
        [&](One *one) { return virt_uv_add_handle(fds_.get(fd), events, event, one, free); });
  }
  void add_timeout() {
    if (live_.size() >= kMost || one_in(8))
      return expect(virt_uv_add_timeout(0, nullptr, nullptr, free) == -1, "an add wants a callback");
    const int frequency = static_cast<int>(pick(3)) - 1;
    add(One{this, true, false, -1, frequency},
        [&](One *one) { return virt_uv_add_timeout(frequency, timeout, one, free); });
  }
  void update_handle() {
    One *const one = pick_live(false);
    if (one != nullptr) one->wanted = static_cast<int>(pick(16));
    virt_uv_update_handle(one != nullptr ? one->id : last_removed_, one != nullptr ? one->wanted : 1);
  }
  void update_timeout() {
    One *const one = pick_live(true);
    if (one != nullptr) one->wanted = static_cast<int>(pick(3)) - 1;
    virt_uv_update_timeout(one != nullptr ? one->id : last_removed_, one != nullptr ? one->wanted : 0);
  }
  void remove_handle() { remove_one(false); }
  void remove_timeout() { remove_one(true); }
  void remove_one(bool is_timeout) {
    One *const one = pick_live(is_timeout);
    if (one != nullptr && !one_in(8)) return remove(one);
    const int result = is_timeout ? virt_uv_remove_timeout(INT_MAX) : virt_uv_remove_handle(INT_MAX);
    expect(result == -1, "what is not registered cannot be removed");
  }
  void remove(One *one) {
    live_.erase(std::find(live_.begin(), live_.end(), one));
    one->removed = true;
    last_removed_ = one->id;
    const int result = one->is_timeout ? virt_uv_remove_timeout(one->id) : virt_uv_remove_handle(one->id);
    expect(result == 0, "what is registered can be removed");
  }
  void remove_all() {
    while (!live_.empty()) remove(live_.back());
  }
  void run() {
    if (runs_ >= deepest_) return;
    const Restored<unsigned> deeper(runs_, runs_ + 1);
    deepest_seen_ = std::max(deepest_seen_, runs_);
    if (runs_ == 1 && one_in(4)) let_a_millisecond_pass();
    // A run further up may have the idle handle in hand: one that may sleep would then sleep for ever.
    uv_run(loop_.get(), runs_ > 1 || one_in(2) ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  }

  // For the timeouts; no run of this loop sleeps.
  void let_a_millisecond_pass() {
    const std::uint64_t before = uv_now(loop_.get());
    while (uv_now(loop_.get()) == before) uv_update_time(loop_.get());
  }

  std::mt19937 random_;
  Loop loop_, other_;
  uv_idle_t awake_;
  Fds fds_;
  std::vector<std::unique_ptr<One>> all_;  // kept to the end: a call after the ff is to be seen
  std::vector<One *> live_;
  int last_removed_ = 0;

  Place place_ = kHostsCode;
  unsigned budget_ = 0, deepest_ = 1, runs_ = 0, deepest_seen_ = 0;
  std::size_t adding_ = 0;
  std::uint64_t calls_ = 0, made_ = 0, freed_ = 0;
  int drains_ = 0, drained_ = 0, detaches_ = 0, detached_ = 0;
  bool ending_ = false;
  std::array<std::array<std::uint64_t, kOperations>, kPlaces> called_{};
  std::map<std::string, int> broken_;  // rules
};

const std::array<Reentry::Operation, Reentry::kOperations> Reentry::operations = {{
    {"virt_uv_attach", 5, &Reentry::attach},
    {"virt_uv_detach", 2, &Reentry::detach_it},
    {"virt_uv_drain", 3, &Reentry::drain_it},
    {"virt_uv_loop", 1, &Reentry::ask_loop},
    {"virt_uv_take_loop", 1, &Reentry::take_loop},
    {"virt_uv_ref", 1, &Reentry::ref},
    {"virt_uv_unref", 1, &Reentry::unref},
    {"virt_uv_get_stats", 1, &Reentry::get_stats},
    {"virt_uv_walk", 2, &Reentry::walk},
    {"virt_uv_version", 1, &Reentry::version},
    {"virt_uv_version_string", 1, &Reentry::version_string},
    {"virt_uv_add_handle", 8, &Reentry::add_handle},
    {"virt_uv_update_handle", 8, &Reentry::update_handle},
    {"virt_uv_remove_handle", 6, &Reentry::remove_handle},
    {"virt_uv_add_timeout", 8, &Reentry::add_timeout},
    {"virt_uv_update_timeout", 8, &Reentry::update_timeout},
    {"virt_uv_remove_timeout", 6, &Reentry::remove_timeout},
    {"virt_uv_report_exception", 1, &Reentry::report_exception},
    {"uv_run", 12, &Reentry::run},
}};

// The functions that the header declares.
std::set<std::string> functions_of_the_header() {
  std::ifstream file(VIRT_UV_HEADER);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  const std::string header = text.str();
  static const std::regex declaration(R"(\nVIRT_UV_EXPORT [^;(]*\b(virt_uv_\w+)\()");
  std::set<std::string> names;
  for (std::sregex_iterator each(header.begin(), header.end(), declaration), none; each != none; ++each)
    names.insert((*each)[1]);
  return names;
}

}  // namespace

TEST_CASE("the test of re-entry knows every function of the header") {
  std::set<std::string> known;
  for (const Reentry::Operation &each : Reentry::operations) known.insert(each.name);
  known.erase("uv_run");
  CHECK(known == functions_of_the_header());
}

TEST_CASE("every callback may call every function and run the loop, and no rule is broken at any depth") {
  constexpr unsigned kSeeds = 4;
  constexpr std::uint64_t kEnoughForAll = 40'000;
  const std::uint64_t number = scaled(50'000);
  std::uint64_t calls = 0;
  unsigned deepest = 0;
  std::map<std::string, unsigned> not_called;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    INFO("seed " << seed);
    Reentry reentry(seed);
    reentry.make_calls(number / kSeeds + 1);
    reentry.end();
    calls += reentry.calls();
    deepest = std::max(deepest, reentry.deepest_seen());
    for (const std::string &each : reentry.not_called()) ++not_called[each];
  }
  std::set<std::string> never_called;
  for (const auto &[name, seeds] : not_called)
    if (seeds == kSeeds) never_called.insert(name);
  if (calls >= kEnoughForAll) CHECK(never_called == std::set<std::string>{});
  WARN(calls << " operations at random depth, up to " << deepest << " runs of the loop within each other");
}
