// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every call that can fail is made to fail, one in each run of a life of the library, until a run has no such call
// left. Whatever fails: what the caller is told is true, the log names the cause, what was accepted goes on, and
// nothing is leaked.
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host.hpp"
#include "inject.h"
#include "pipes.hpp"

namespace {

// One registration: refused, or it fires and is freed once.
struct Asked {
  int id = -1;
  int fired = 0;
  int freed = 0;

  static void on_event(int, int, int, void *opaque) { ++static_cast<Asked *>(opaque)->fired; }
  static void on_timeout(int, void *opaque) { ++static_cast<Asked *>(opaque)->fired; }
  static void on_free(void *opaque) { ++static_cast<Asked *>(opaque)->freed; }

  bool accepted() const { return id != -1; }
  bool served() const { return !accepted() || fired > 0; }
};

struct Fds {
  Fds() : null(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    reader = std::make_unique<Fd>(ends[0]);
    writer = std::make_unique<Fd>(ends[1]);
    REQUIRE(write(ends[1], "x", 1) == 1);
    signal.make_readable();
  }
  Signal signal;
  SocketPair pair;
  Fd null;
  std::unique_ptr<Fd> reader, writer;
};

// The life of one loop under one fault.
class Life {
 public:
  explicit Life(Fds &fds) : fds_(fds) {}

  void run() {
    const virt_uv_options options = logging_to(lines_);
    const int err = virt_uv_attach(loop_.get(), &options);
    if (err < 0) return refused(err);
    register_all();
    serve_all();
    look();
    remove_all();
    const bool drains = virt_uv_drain([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &drained_) == 0;
    CHECK(loop_.run_until([&] { return drains ? drained_ : stats().adds == stats().frees; }));
    detached_ = detach(loop_);
    CHECK(detached_);
    for (const Asked &asked : watches_) CHECK(asked.freed == (asked.accepted() ? 1 : 0));
    for (const Asked &asked : timeouts_) CHECK(asked.freed == (asked.accepted() ? 1 : 0));
  }

  // What a failure that changes an outcome must have left in the log.
  int errors() const { return lines_.count(VIRT_UV_LOG_ERROR, ""); }
  int errors(const std::string &part) const { return lines_.count(VIRT_UV_LOG_ERROR, part); }
  bool told() const { return told_; }
  int refused_adds() const { return refused_adds_; }

 private:
  void refused(int err) {
    told_ = true;
    CHECK((err == UV_ENOMEM || err == UV_ENOSPC || err == UV_EMFILE || err == UV_ENFILE || err == UV_EIO ||
           err == UV_EBUSY));
    CHECK(errors() == 1);
    CHECK(virt_uv_loop() == nullptr);
    CHECK(virt_uv_detach(nullptr, nullptr) == UV_ENOTCONN);
  }

  void register_all() {
    const int fds[] = {fds_.signal.get(), fds_.pair.ours.get(), fds_.reader->get(), fds_.null.get()};
    const int masks[] = {VIR_EVENT_HANDLE_READABLE, VIR_EVENT_HANDLE_WRITABLE, VIR_EVENT_HANDLE_READABLE,
                         VIR_EVENT_HANDLE_READABLE};
    for (int i = 0; i < 4; ++i)
      watches_[i].id = virt_uv_add_handle(fds[i], masks[i], Asked::on_event, &watches_[i], Asked::on_free);
    for (int i = 0; i < kTimeouts; ++i)
      timeouts_[i].id = virt_uv_add_timeout(i % 3, Asked::on_timeout, &timeouts_[i], Asked::on_free);
    for (const Asked &asked : watches_) refused_adds_ += !asked.accepted();
    for (const Asked &asked : timeouts_) refused_adds_ += !asked.accepted();
  }

  // What could not be armed at once is armed at the retry.
  void serve_all() {
    CHECK(loop_.run_until([&] {
      for (const Asked &asked : watches_)
        if (!asked.served()) return false;
      for (const Asked &asked : timeouts_)
        if (!asked.served()) return false;
      return true;
    }));
  }

  void look() {
    const int number = virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr);
    if (number == UV_ENOMEM)
      told_ = true;
    else
      CHECK(static_cast<std::uint64_t>(number) == stats().watches + stats().timeouts);
  }

  void remove_all() {
    for (const Asked &asked : watches_) CHECK(virt_uv_remove_handle(asked.id) == (asked.accepted() ? 0 : -1));
    for (const Asked &asked : timeouts_) CHECK(virt_uv_remove_timeout(asked.id) == (asked.accepted() ? 0 : -1));
  }

  static constexpr int kTimeouts = 40;  // the heap and the list grow several times

  Fds &fds_;
  Lines lines_;
  Loop loop_;
  Asked watches_[4];
  Asked timeouts_[kTimeouts];
  bool drained_ = false, detached_ = false, told_ = false;
  int refused_adds_ = 0;
};

// What the log calls the error with which an add fails where that call does.
const char *cause_of(const std::string &call) {
  return call == "fcntl" || call == "epoll_create1" ? "Too many open files" : "Cannot allocate memory";
}

// Nothing depends on these: the fd is inspected more often, or the event comes again.
bool is_harmless(const std::string &call) { return call == "fstat" || call == "readlink" || call == "poll"; }

}  // namespace

TEST_CASE("whatever call fails, what was accepted goes on, the log says why, and nothing leaks") {
  Fds fds;
  std::map<std::string, int> injected, refused_adds;
  {
    Life warm_up(fds);  // what is allocated once for the process
    warm_up.run();
  }
  const int fds_before = open_fds();
  for (long nth = 1;; ++nth) {
    const char *failed;
    {
      const virt_uv_stats before = stats();
      Life life(fds);
      inject_start(nth);
      life.run();
      failed = inject_stop();
      INFO("call " << nth << ": " << (failed ? failed : "none"));
      if (failed == nullptr) {
        CHECK(life.errors() == 0);
        break;
      }
      ++injected[failed];
      CHECK(life.errors("cannot watch fd") + life.errors("cannot add a timeout") == life.refused_adds());
      if (life.refused_adds() > 0) {
        CHECK(life.errors(cause_of(failed)) == life.refused_adds());
        ++refused_adds[failed];
      }
      const bool logged = life.errors() > 0 || stats().failures > before.failures;
      CHECK((logged || life.told() || is_harmless(failed)));
      CHECK(stats().watches + stats().timeouts == 0);
    }
    INFO("call " << nth << ": " << failed);
    CHECK(open_fds() == fds_before);
  }
  std::string summary;
  for (const auto &[call, times] : injected) summary += call + " " + std::to_string(times) + ", ";
  WARN("made to fail: " << summary << "each in a run of its own");
  for (const char *call : {"operator new", "fcntl", "eventfd", "epoll_create1", "epoll_ctl", "dup3", "poll", "fstat",
                           "readlink", "uv_loop_init", "uv_poll_init", "virInitialize"})
    CHECK(injected[call] > 0);
  CHECK(refused_adds["fcntl"] > 0);
}

TEST_CASE("an add whose file cannot be put behind a kept handle's number is refused, and the next one has the handle") {
  Host host;
  Signal signal;
  signal.make_readable();
  Asked before;
  before.id = virt_uv_add_handle(signal.get(), 1, Asked::on_event, &before, Asked::on_free);
  CHECK(host.loop.run_until([&] { return before.served(); }));
  CHECK(virt_uv_remove_handle(before.id) == 0);
  CHECK(drain(host.loop));
  const int fds = open_fds();
  Asked refused, next;
  inject_start(2);  // the first call tells the kind of the fd
  refused.id = virt_uv_add_handle(signal.get(), 1, Asked::on_event, &refused, Asked::on_free);
  CHECK(std::string(inject_stop()) == "dup3");
  CHECK(!refused.accepted());
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot watch fd") == 1);
  next.id = virt_uv_add_handle(signal.get(), 1, Asked::on_event, &next, Asked::on_free);
  CHECK(host.loop.run_until([&] { return next.served(); }));
  CHECK(open_fds() == fds);
  CHECK(virt_uv_remove_handle(next.id) == 0);
  CHECK(drain(host.loop));
  CHECK(refused.freed == 0);
}

TEST_CASE("an add that finds no memory for its slot is refused, says so, and the next one is not") {
  Host host;
  Signal signal;
  std::vector<Asked> asked(600);  // more than one chunk of slots
  const int fds_before = open_fds();
  int accepted = 0, refused = 0;
  for (Asked &each : asked) {
    inject_start(3);  // the first two calls are for the duplicate
    each.id = virt_uv_add_handle(signal.get(), 0, Asked::on_event, &each, Asked::on_free);
    (each.accepted() ? accepted : refused) += 1;
    CHECK((inject_stop() == nullptr) == each.accepted());
  }
  CHECK(refused > 0);
  CHECK(accepted > 0);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "Cannot allocate memory") == refused);
  CHECK(open_fds() == fds_before + accepted);
  inject_start(1);
  int timer = 0;
  std::vector<int> timers;
  for (int i = 0; i < 600 && timer != -1; ++i)
    timers.push_back(timer = virt_uv_add_timeout(-1, Asked::on_timeout, nullptr, nullptr));
  CHECK(inject_stop() != nullptr);
  CHECK(timer == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot add a timeout: Cannot allocate memory") == 1);
  timers.back() = virt_uv_add_timeout(-1, Asked::on_timeout, nullptr, nullptr);
  for (const int id : timers) CHECK(virt_uv_remove_timeout(id) == 0);
  for (const Asked &each : asked) CHECK(virt_uv_remove_handle(each.id) == (each.accepted() ? 0 : -1));
  REQUIRE(drain(host.loop));
  CHECK(open_fds() == fds_before);
  for (const Asked &each : asked) CHECK(each.freed == (each.accepted() ? 1 : 0));
}

TEST_CASE("timeouts that find no memory to be queued in are named in the log, and fire at the retry") {
  for (const int frequency : {0, 1}) {
    Host host;
    std::vector<Asked> asked(3000);  // more than any queue had room for before
    for (Asked &each : asked) each.id = virt_uv_add_timeout(frequency, Asked::on_timeout, &each, Asked::on_free);
    inject_start(1);
    CHECK(host.loop.run_until(
        [&] { return std::all_of(asked.begin(), asked.end(), [](const Asked &each) { return each.fired > 0; }); }));
    CHECK(inject_stop() != nullptr);
    CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot be started: Cannot allocate memory") == 1);
    for (const Asked &each : asked) CHECK(virt_uv_remove_timeout(each.id) == 0);
    CHECK(drain(host.loop));
  }
}

TEST_CASE("with thousands of watches and no fd left, add says so, and works again when fds are free") {
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit before = limit;
  limit.rlim_cur = std::min<rlim_t>(3000, limit.rlim_max);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  Host host;
  Signal signal;
  signal.make_readable();
  std::vector<int> fired(4000), ids;
  const auto count = [](int, int, int, void *opaque) { ++*static_cast<int *>(opaque); };
  const auto add = [&](int &counter) {
    return virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count, &counter, nullptr);
  };
  for (int id; (id = add(fired[ids.size()])) != -1;) ids.push_back(id);
  CHECK(ids.size() > 2000);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "Too many open files") == 1);
  const auto all_fire = [&] {
    std::fill(fired.begin(), fired.end(), 0);
    return host.loop.run_until([&] {
      return std::all_of(fired.begin(), fired.begin() + static_cast<long>(ids.size()), [](int n) { return n > 0; });
    });
  };
  CHECK(all_fire());  // to arm one takes no fd
  for (int i = 0; i < 10; ++i) CHECK(virt_uv_remove_handle(ids[static_cast<std::size_t>(i)]) == 0);
  REQUIRE(host.loop.run_until([] { return stats().frees_pending == 0; }));
  for (int i = 0; i < 10; ++i) CHECK((ids[static_cast<std::size_t>(i)] = add(fired[static_cast<std::size_t>(i)])) >= 1);
  CHECK(add(fired[0]) == -1);
  CHECK(all_fire());
  for (const int id : ids) CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
}
