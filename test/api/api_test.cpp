// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the C API promises: stats, walk, drain, ref and unref, slow callbacks, exceptions, log lines.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"
#include "self.hpp"

namespace {

void no_handle_callback(int, int, int, void *) {}
void no_timeout_callback(int, void *) {}
void count(void *opaque) { ++*static_cast<int *>(opaque); }
void count_timeout(int, void *opaque) { count(opaque); }

std::vector<virt_uv_entry> entries() {
  std::vector<virt_uv_entry> all;
  const int number =
      virt_uv_walk([](const virt_uv_entry *entry,
                      void *opaque) { static_cast<std::vector<virt_uv_entry> *>(opaque)->push_back(*entry); },
                   &all);
  REQUIRE(number == static_cast<int>(all.size()));
  return all;
}

void hold_the_loop(int, void *opaque) {
  const std::uint64_t start = uv_hrtime();
  while (uv_hrtime() - start < 2'000'000) continue;
  count(opaque);
}

}  // namespace

TEST_CASE("the version is the header's") {
  CHECK(virt_uv_version() == VIRT_UV_VERSION_NUMBER);
  const std::string expected = std::to_string(VIRT_UV_VERSION_MAJOR) + "." + std::to_string(VIRT_UV_VERSION_MINOR) +
                               "." + std::to_string(VIRT_UV_VERSION_MICRO);
  CHECK(virt_uv_version_string() == expected);
}

TEST_CASE("stats follow a watch and a timeout from add to free") {
  Host host;
  Signal signal;
  int freed = 0;
  REQUIRE(drain(host.loop));  // attach has made a timeout of its own, to see where calls arrive
  const virt_uv_stats before = stats();
  const int watch = virt_uv_add_handle(signal.get(), 0, no_handle_callback, &freed, count);
  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, &freed, count);
  CHECK(stats().watches == before.watches + 1);
  CHECK(stats().timeouts == before.timeouts + 1);
  CHECK(stats().adds == before.adds + 2);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(stats().watches == before.watches);
  CHECK(stats().timeouts == before.timeouts);
  CHECK(stats().frees_pending == before.frees_pending + 2);
  CHECK(freed == 0);  // never within remove
  REQUIRE(drain(host.loop));
  CHECK(freed == 2);
  CHECK(stats().frees == before.frees + 2);
  CHECK(stats().frees_pending == 0);
}

TEST_CASE("walk tells of each watch and timeout what was asked for and how often it was called") {
  Host host;
  Signal signal;
  signal.make_readable();
  int fired = 0;
  const int watch = virt_uv_add_handle(
      signal.get(), VIR_EVENT_HANDLE_READABLE, [](int, int, int, void *opaque) { count(opaque); }, &fired, nullptr);
  const int timer = virt_uv_add_timeout(-5, no_timeout_callback, nullptr, nullptr);
  REQUIRE(host.loop.run_until([&] { return fired >= 2; }));
  const std::vector<virt_uv_entry> all = entries();
  REQUIRE(all.size() == 2);
  CHECK(all[0].size == sizeof(virt_uv_entry));
  CHECK(all[0].is_timeout == 0);
  CHECK(all[0].id == watch);
  CHECK(all[0].fd == signal.get());
  CHECK((all[0].events & VIR_EVENT_HANDLE_READABLE) != 0);
  CHECK((all[0].events & VIR_EVENT_HANDLE_WRITABLE) == 0);
  CHECK(all[0].fired == static_cast<std::uint64_t>(fired));
  CHECK(all[0].last_ms > 0);
  CHECK(all[0].last_ms <= uv_now(host.loop.get()));
  CHECK(all[0].longest_us == 0);
  CHECK(all[1].is_timeout == 1);
  CHECK(all[1].id == timer);
  CHECK(all[1].fd == -1);
  CHECK(all[1].frequency == -5);
  CHECK(all[1].fired == 0);
  virt_uv_update_handle(watch, 0);
  CHECK(entries()[0].events == 0);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  CHECK(entries().empty());
  CHECK(drain(host.loop));
}

TEST_CASE("walk tells of no calls of a watch and a timeout that have taken the places of others") {
  Host host;
  Signal signal;
  signal.make_readable();
  int events = 0, ticks = 0;
  const auto count_event = [](int, int, int, void *opaque) { count(opaque); };
  const int watch = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count_event, &events, nullptr);
  const int timer = virt_uv_add_timeout(0, count_timeout, &ticks, nullptr);
  REQUIRE(host.loop.run_until([&] { return events > 0 && ticks > 0; }));
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  REQUIRE(drain(host.loop));
  const int next_watch = virt_uv_add_handle(signal.get(), 0, count_event, &events, nullptr);
  const int next_timer = virt_uv_add_timeout(-1, count_timeout, &ticks, nullptr);
  constexpr int kIndexMask = (1 << 20) - 1;
  REQUIRE((next_watch & kIndexMask) == (watch & kIndexMask));
  REQUIRE((next_timer & kIndexMask) == (timer & kIndexMask));
  for (const virt_uv_entry &entry : entries()) {
    CHECK(entry.fired == 0);
    CHECK(entry.last_ms == 0);
  }
  CHECK(virt_uv_remove_handle(next_watch) == 0);
  CHECK(virt_uv_remove_timeout(next_timer) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("walk's callback may remove what it is told of") {
  Host host;
  for (int i = 0; i < 5; ++i) virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  int removed = 0;
  const int number = virt_uv_walk(
      [](const virt_uv_entry *entry, void *opaque) {
        if (virt_uv_remove_timeout(entry->id) == 0) count(opaque);
      },
      &removed);
  CHECK(number == 5);
  CHECK(removed == 5);
  CHECK(drain(host.loop));
}

TEST_CASE("drain waits for the last ff, and calls each waiting callback once") {
  Host host;
  int freed = 0, idle = 0;
  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, &freed, count);
  REQUIRE(virt_uv_drain(count, &idle) == 0);
  REQUIRE(virt_uv_drain(count, &idle) == 0);
  CHECK(idle == 0);
  host.loop.run_iterations(5);
  CHECK(idle == 0);  // something is registered
  virt_uv_remove_timeout(timer);
  REQUIRE(host.loop.run_until([&] { return idle > 0; }));
  CHECK(freed == 1);
  host.loop.run_iterations(5);
  CHECK(idle == 2);
}

TEST_CASE("drain calls back in the loop, not within the call, when nothing is registered") {
  Host host;
  int idle = 0;
  REQUIRE(virt_uv_drain(count, &idle) == 0);
  CHECK(idle == 0);
  CHECK(host.loop.run_until([&] { return idle == 1; }));
}

TEST_CASE("a drain alone keeps uv_run from returning, until it has called back") {
  Host host;
  uv_run(host.loop.get(), UV_RUN_DEFAULT);
  REQUIRE(uv_loop_alive(host.loop.get()) == 0);
  int idle = 0;
  REQUIRE(virt_uv_drain(count, &idle) == 0);
  CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) == 0);
  CHECK(idle == 1);
}

TEST_CASE("a drain that waits when the loop is detached waits on for the next one") {
  int idle = 0, timer;
  {
    Host host;
    timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
    REQUIRE(virt_uv_drain(count, &idle) == 0);
  }
  virt_uv_remove_timeout(timer);
  CHECK(idle == 0);
  Host next;
  CHECK(next.loop.run_until([&] { return idle == 1; }));
}

TEST_CASE("what is registered keeps uv_run from returning, and unref'd it does not") {
  Host host;
  uv_loop_t *loop = host.loop.get();
  uv_run(loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_alive(loop) == 0);
  Signal signal;
  const int watch = virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr);
  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  CHECK(uv_loop_alive(loop) != 0);  // a silent watch, a disabled timeout
  virt_uv_unref();
  virt_uv_unref();
  CHECK(uv_loop_alive(loop) == 0);
  CHECK(uv_run(loop, UV_RUN_DEFAULT) == 0);
  virt_uv_ref();
  CHECK(uv_loop_alive(loop) != 0);
  virt_uv_remove_handle(watch);
  virt_uv_remove_timeout(timer);
  CHECK(uv_run(loop, UV_RUN_DEFAULT) == 0);  // returns once both are freed
  CHECK(stats().frees_pending == 0);
}

TEST_CASE("unref holds across detach and attach") {
  virt_uv_unref();
  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  Host host;
  CHECK(uv_run(host.loop.get(), UV_RUN_DEFAULT) == 0);
  virt_uv_ref();
  CHECK(uv_loop_alive(host.loop.get()) != 0);
  virt_uv_remove_timeout(timer);
  CHECK(drain(host.loop));
}

TEST_CASE("stats tell how many watches and timeouts were registered at one time") {
  Host host;
  Signal signal;
  const virt_uv_stats before = stats();
  const int more = static_cast<int>(before.most_watches - before.watches) + 2;
  std::vector<int> watches, timers;
  for (int i = 0; i < more; ++i)
    watches.push_back(virt_uv_add_handle(signal.get(), 0, no_handle_callback, nullptr, nullptr));
  CHECK(stats().most_watches == before.most_watches + 2);
  CHECK(stats().most_timeouts == before.most_timeouts);
  for (std::uint64_t i = before.timeouts; i < before.most_timeouts + 1; ++i)
    timers.push_back(virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr));
  CHECK(stats().most_timeouts == before.most_timeouts + 1);
  // The last first, so that the slots are used in their order again.
  std::for_each(watches.rbegin(), watches.rend(), virt_uv_remove_handle);
  std::for_each(timers.rbegin(), timers.rend(), virt_uv_remove_timeout);
  const int again = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  CHECK(stats().most_watches == before.most_watches + 2);
  CHECK(stats().most_timeouts == before.most_timeouts + 1);
  virt_uv_remove_timeout(again);
  CHECK(drain(host.loop));
}

TEST_CASE("a callback that holds the loop for long is measured, counted and named") {
  Host host(1);
  const virt_uv_stats before = stats();
  int held = 0;
  const int timer = virt_uv_add_timeout(0, hold_the_loop, &held, nullptr);
  REQUIRE(host.loop.run_until([&] { return held > 0; }));
  const std::string name = "the callback of timeout " + std::to_string(timer);
  CHECK(host.lines.count(VIRT_UV_LOG_WARN, name) == held);
  CHECK(stats().slow_callbacks == before.slow_callbacks + static_cast<std::uint64_t>(held));
  CHECK(entries().at(0).longest_us >= 2000);
  CHECK(stats().longest_us >= 2000);
  virt_uv_remove_timeout(timer);
  CHECK(drain(host.loop));
}

namespace {

// Of this process, for as long as it lives.
class SlowCallbackVariable {
 public:
  explicit SlowCallbackVariable(const char *value) { setenv("VIRT_UV_SLOW_CALLBACK_MS", value, 1); }
  ~SlowCallbackVariable() { unsetenv("VIRT_UV_SLOW_CALLBACK_MS"); }
  SlowCallbackVariable(const SlowCallbackVariable &) = delete;
  SlowCallbackVariable &operator=(const SlowCallbackVariable &) = delete;
};

void hold_once(int timer, void *held) {
  hold_the_loop(timer, held);
  virt_uv_remove_timeout(timer);
}

// The slow callbacks of a host that gave this limit, whose one callback takes 2 ms.
std::uint64_t slow_callbacks_with(unsigned slow_callback_ms) {
  Host host(slow_callback_ms);
  const std::uint64_t before = stats().slow_callbacks;
  int held = 0;
  virt_uv_add_timeout(0, hold_once, &held, nullptr);
  REQUIRE(host.loop.run_until([&] { return held == 1; }));
  CHECK(drain(host.loop));
  return stats().slow_callbacks - before;
}

}  // namespace

TEST_CASE("VIRT_UV_SLOW_CALLBACK_MS has callbacks measured where the host does not ask for it") {
  {
    const SlowCallbackVariable variable("1");
    CHECK(slow_callbacks_with(0) == 1);
    CHECK(slow_callbacks_with(60000) == 0);
  }
  for (const char *none : {"", "0"}) {
    const SlowCallbackVariable variable(none);
    CHECK(slow_callbacks_with(0) == 0);
  }
}

TEST_CASE("a VIRT_UV_SLOW_CALLBACK_MS that is no number is named once for each attach, and asks for nothing") {
  for (const char *bad : {"ten", "10ms", "-1", " 10", "1.5", "4294967296"}) {
    const SlowCallbackVariable variable(bad);
    Host host;
    CHECK(host.lines.count(VIRT_UV_LOG_WARN, std::string("VIRT_UV_SLOW_CALLBACK_MS=") + bad + " is not a number of") ==
          1);
    CHECK(host.lines.count(VIRT_UV_LOG_WARN, "") == 1);
  }
  const SlowCallbackVariable variable("ten");
  CHECK(slow_callbacks_with(0) == 0);
}

TEST_CASE("with slow_callback_ms 0 nothing is measured") {
  Host host;
  int held = 0;
  const int timer = virt_uv_add_timeout(0, hold_the_loop, &held, nullptr);
  REQUIRE(host.loop.run_until([&] { return held > 0; }));
  CHECK(host.lines.count(VIRT_UV_LOG_WARN, "") == 0);
  CHECK(entries().at(0).longest_us == 0);
  virt_uv_remove_timeout(timer);
  CHECK(drain(host.loop));
}

// --- Exceptions ---

TEST_CASE("an exception from any callback is logged and counted, and the loop goes on") {
  Host host;
  Signal signal;
  signal.make_readable();
  const std::uint64_t before = stats().exceptions;
  const auto thrown = [&] { return static_cast<int>(stats().exceptions - before); };

  const int watch = virt_uv_add_handle(
      signal.get(), VIR_EVENT_HANDLE_READABLE,
      [](int id, int, int, void *) {
        virt_uv_remove_handle(id);
        throw std::runtime_error("from a watch");
      },
      nullptr, [](void *) { throw std::runtime_error("from an ff"); });
  REQUIRE(watch >= 1);
  REQUIRE(host.loop.run_until([&] { return thrown() == 2; }));
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "from a watch") == 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "from an ff") == 1);

  virt_uv_add_timeout(
      0,
      [](int id, void *) {
        virt_uv_remove_timeout(id);
        throw 42;
      },
      nullptr, [](void *) { throw std::string("no std::exception"); });
  REQUIRE(host.loop.run_until([&] { return thrown() == 4; }));
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "without a text") == 2);

  REQUIRE(virt_uv_drain([](void *) { throw std::runtime_error("from a drain"); }, nullptr) == 0);
  REQUIRE(host.loop.run_until([&] { return thrown() == 5; }));

  const int timer = virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr);
  CHECK(virt_uv_walk([](const virt_uv_entry *, void *) { throw 1; }, nullptr) == 1);
  CHECK(thrown() == 6);
  virt_uv_remove_timeout(timer);

  REQUIRE(virt_uv_detach([](void *) { throw std::runtime_error("from done"); }, nullptr) == 0);
  CHECK(host.loop.run_until([&] { return thrown() == 7; }));
}

TEST_CASE("a watch whose callback lets an exception out is called again") {
  Host host;
  Signal signal;
  signal.make_readable();
  int fired = 0;
  const int watch = virt_uv_add_handle(
      signal.get(), VIR_EVENT_HANDLE_READABLE,
      [](int, int, int, void *opaque) {
        count(opaque);
        throw 1;
      },
      &fired, nullptr);
  CHECK(host.loop.run_until([&] { return fired >= 3; }));
  virt_uv_remove_handle(watch);
  CHECK(drain(host.loop));
}

TEST_CASE("an exception from the logger is dropped") {
  Host host;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = [](virt_uv_log_level, const char *, void *) { throw std::runtime_error("from the logger"); };
  REQUIRE(virt_uv_attach(host.loop.get(), &options) == 0);
  CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);
  int fired = 0;
  const int timer = virt_uv_add_timeout(0, count_timeout, &fired, nullptr);
  CHECK(host.loop.run_until([&] { return fired > 0; }));
  virt_uv_remove_timeout(timer);
  CHECK(drain(host.loop));
}

TEST_CASE("a language binding can report an exception, with and without a text") {
  Host host;
  const std::uint64_t before = stats().exceptions;
  virt_uv_report_exception("TypeError: x is not a function");
  virt_uv_report_exception(nullptr);
  CHECK(stats().exceptions == before + 2);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "x is not a function") == 1);
}

TEST_CASE("a log line that is too long is cut, not lost") {
  Host host;
  virt_uv_report_exception(std::string(5000, 'x').c_str());
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, std::string(400, 'x')) == 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, std::string(600, 'x')) == 0);
}

// --- VIRT_UV_LOG, which is read once for each process ---

TEST_CASE("one line of each level", "[.lines]") {
  Loop loop;
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.slow_callback_ms = 1;
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);                // info
  REQUIRE(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);  // error
  int held = 0;
  const int timer = virt_uv_add_timeout(0, hold_the_loop, &held, nullptr);  // debug
  REQUIRE(loop.run_until([&] { return held > 0; }));                        // warn
  virt_uv_remove_timeout(timer);
  REQUIRE(drain(loop));
  REQUIRE(detach(loop));
}

TEST_CASE("VIRT_UV_LOG says which lines go to stderr, and without it errors and warnings do") {
  const char *const levels[] = {"none", "error", "warn", "info", "debug"};
  for (int value = -1; value <= VIRT_UV_LOG_DEBUG; ++value) {
    const int wanted = value >= 0 ? value : VIRT_UV_LOG_WARN;
    const Outcome outcome = run_self("one line of each level", value >= 0 ? levels[value] : nullptr);
    CHECK(outcome.status == 0);
    for (int level = VIRT_UV_LOG_ERROR; level <= VIRT_UV_LOG_DEBUG; ++level) {
      const std::string prefix = std::string("virt-uv: ") + levels[level] + ": ";
      INFO("VIRT_UV_LOG=" << (value >= 0 ? levels[value] : "(unset)") << ", lines of " << levels[level]);
      CHECK((outcome.stderr_text.find(prefix) != std::string::npos) == (level <= wanted));
    }
  }
}

TEST_CASE("what the host's logger is told", "[.lines]") {
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.log = [](virt_uv_log_level level, const char *, void *) { std::fprintf(stderr, "<level %d>", level); };
  Loop loop;
  REQUIRE(virt_uv_attach(loop.get(), &options) == 0);                                      // info
  REQUIRE(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);                        // error
  virt_uv_remove_timeout(virt_uv_add_timeout(-1, no_timeout_callback, nullptr, nullptr));  // debug
  REQUIRE(drain(loop));
  REQUIRE(detach(loop));
}

TEST_CASE("the host's logger gets debug lines only where VIRT_UV_LOG asks for them") {
  const auto told = [](const char *log) { return run_self("what the host's logger is told", log).stderr_text; };
  const std::string debug_line = "<level " + std::to_string(VIRT_UV_LOG_DEBUG) + ">";
  const std::string info_line = "<level " + std::to_string(VIRT_UV_LOG_INFO) + ">";
  for (const char *log : {static_cast<const char *>(nullptr), "error", "info"}) {
    const std::string lines = told(log);
    CHECK(lines.find(info_line) != std::string::npos);
    CHECK(lines.find(debug_line) == std::string::npos);
  }
  CHECK(told("debug").find(debug_line) != std::string::npos);
}

TEST_CASE("a watch and a timeout come and go", "[.lines]") {
  Signal signal;
  const int timer = virt_uv_add_timeout(3600000, no_timeout_callback, nullptr, nullptr);  // 1, before attach adds one
  Loop loop;
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  const int watch = virt_uv_add_handle(signal.get(), 1, no_handle_callback, nullptr, nullptr);
  CHECK(virt_uv_remove_handle(watch) == 0);
  CHECK(virt_uv_remove_timeout(timer) == 0);
  REQUIRE(drain(loop));
  REQUIRE(detach(loop));
}

TEST_CASE("VIRT_UV_LOG=debug has a line for each watch and timeout that is added, and for each that is removed") {
  const std::string text = run_self("a watch and a timeout come and go", "debug").stderr_text;
  for (const char *line : {"watch 1: fd ", "watch 1: removed", "timeout 1: every 3600000 ms", "timeout 1: removed"}) {
    INFO(line);
    CHECK(text.find(std::string("virt-uv: debug: ") + line) != std::string::npos);
  }
}

TEST_CASE("an empty VIRT_UV_LOG is as none that is set") {
  const std::string text = run_self("one line of each level", "").stderr_text;
  CHECK(text.find("virt-uv: warn:") != std::string::npos);
  CHECK(text.find("virt-uv: info:") == std::string::npos);
  CHECK(text.find("is not a level") == std::string::npos);
}

TEST_CASE("a VIRT_UV_LOG that is no level gets one line that says what to do") {
  const Outcome outcome = run_self("one line of each level", "loud");
  CHECK(outcome.status == 0);
  CHECK(outcome.stderr_text.find("VIRT_UV_LOG=loud is not a level: use none, error, warn, info or debug") !=
        std::string::npos);
  CHECK(outcome.stderr_text.find("virt-uv: info:") == std::string::npos);
}
