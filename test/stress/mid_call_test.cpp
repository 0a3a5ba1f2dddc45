// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A loop that goes while another thread is in the middle of a call.
//
// Where in the middle is no accident: add and remove write a debug line when what they were asked for is noted down,
// and the loop is not woken yet. The host's log function holds the thread there. Debug lines need VIRT_UV_LOG=debug
// from the start, so the cases run in processes of their own.
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "host.hpp"
#include "pipes.hpp"
#include "self.hpp"

namespace {

constexpr char kAddCase[] = "an add in the middle of which the loop goes";
constexpr char kRemoveCase[] = "a remove in the middle of which the loop goes";

// Holds a thread that writes a line with `part` in it, but not the one that made the gate. Who waits in vain is ended
// by the process's limit.
class Gate {
 public:
  explicit Gate(const char *part) : part_(part) {}

  virt_uv_options options() {
    virt_uv_options options = VIRT_UV_OPTIONS_INIT;
    options.log = on_line;
    options.log_opaque = this;
    return options;
  }

  void wait_until_held() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return held_; });
  }

  void let_go() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  static void on_line(virt_uv_log_level, const char *message, void *opaque) {
    Gate &self = *static_cast<Gate *>(opaque);
    if (std::this_thread::get_id() == self.maker_ || std::strstr(message, self.part_) == nullptr) return;
    std::unique_lock<std::mutex> lock(self.mutex_);
    self.held_ = true;
    self.changed_.notify_all();
    self.changed_.wait(lock, [&self] { return self.open_; });
  }

  const char *const part_;
  const std::thread::id maker_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false, open_ = false;
};

// One registration, and what has become of it.
struct Entry {
  bool is_timeout;
  int id = -1;
  int calls = 0, frees = 0;

  static void on_event(int, int, int, void *opaque) { ++static_cast<Entry *>(opaque)->calls; }
  static void on_timeout(int, void *opaque) { ++static_cast<Entry *>(opaque)->calls; }
  static void on_free(void *opaque) { ++static_cast<Entry *>(opaque)->frees; }

  void add(int fd) {
    id = is_timeout ? virt_uv_add_timeout(0, on_timeout, this, on_free)
                    : virt_uv_add_handle(fd, VIR_EVENT_HANDLE_READABLE, on_event, this, on_free);
  }
  int remove() const { return is_timeout ? virt_uv_remove_timeout(id) : virt_uv_remove_handle(id); }
};

enum class Until { kDetaching, kDetached, kAttachedAgain };

constexpr Until kMoments[] = {Until::kDetaching, Until::kDetached, Until::kAttachedAgain};

// Another thread makes the call on a loop that is attached. It is held within it until the loop has come that far.
// `meanwhile` runs while no loop is attached, with the first one's memory gone.
void in_the_middle(const char *line, const std::function<void()> &call, Until until,
                   const std::function<void()> &meanwhile, const std::function<void(Loop &)> &in_the_end) {
  Gate gate(line);
  std::optional<Loop> first(std::in_place);
  const virt_uv_options options = gate.options();
  REQUIRE(virt_uv_attach(first->get(), &options) == 0);
  first->run_iterations(3);
  std::thread caller(call);
  gate.wait_until_held();
  bool done = false;
  REQUIRE(virt_uv_detach([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &done) == 0);
  const auto let_go_at = [&](Until now) {
    if (now != until) return;
    gate.let_go();
    caller.join();
  };
  let_go_at(Until::kDetaching);
  REQUIRE(first->run_until([&] { return done; }));
  first.reset();
  meanwhile();
  let_go_at(Until::kDetached);
  Loop second;
  REQUIRE(virt_uv_attach(second.get(), nullptr) == 0);
  second.run_iterations(3);
  let_go_at(Until::kAttachedAgain);
  in_the_end(second);
  REQUIRE(drain(second));
  REQUIRE(detach(second));
}

}  // namespace

TEST_CASE(kAddCase, "[.mid-call]") {
  Signal signal;
  signal.make_readable();
  for (const bool is_timeout : {false, true})
    for (const Until until : kMoments) {
      Entry entry{is_timeout};
      in_the_middle(
          is_timeout ? ": every 0 ms" : ": fd ", [&] { entry.add(signal.get()); }, until,
          [&] { CHECK(entry.calls == 0); },
          [&](Loop &loop) {
            CHECK(loop.run_until([&] { return entry.calls > 1; }));
            CHECK(entry.remove() == 0);
          });
      CHECK(entry.frees == 1);
    }
}

TEST_CASE(kRemoveCase, "[.mid-call]") {
  Signal signal;
  signal.make_readable();
  for (const bool is_timeout : {false, true})
    for (const Until until : kMoments) {
      Entry entry{is_timeout}, next{is_timeout};
      entry.add(signal.get());
      int answer = -1;
      in_the_middle(
          ": removed", [&] { answer = entry.remove(); }, until,
          [&] {
            CHECK(entry.frees == 1);  // before done
            next.add(signal.get());   // its slot, most likely
          },
          [&](Loop &loop) {
            next.calls = 0;  // from when the call has returned
            CHECK(loop.run_until([&] { return next.calls > 1; }));
            CHECK(next.remove() == 0);
          });
      CHECK(answer == 0);
      CHECK(entry.frees == 1);
      CHECK(next.frees == 1);
    }
}

TEST_CASE("a loop may go while another thread is in the middle of adding or removing, and nothing is lost") {
  for (const char *const hidden : {kAddCase, kRemoveCase}) {
    const Outcome outcome = run_self(hidden, "debug");
    INFO(outcome.stderr_text);
    CHECK(outcome.status == 0);
  }
}
