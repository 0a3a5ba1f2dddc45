// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A loop with many watches does not stand still while handles are opened for all of them, or closed: some are in each
// iteration. Time is not asked: the handles on the loop are counted.
#include <algorithm>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

constexpr int kMany = 400;
constexpr int kMostInAnIteration = 256;

struct Handles {
  int open = 0;     // poll handles that are not closing
  int closing = 0;  // and those that are
};

Handles poll_handles(Loop &loop) {
  Handles found;
  uv_walk(
      loop.get(),
      [](uv_handle_t *handle, void *opaque) {
        if (uv_handle_get_type(handle) != UV_POLL) return;
        Handles &handles = *static_cast<Handles *>(opaque);
        ++(uv_is_closing(handle) != 0 ? handles.closing : handles.open);
      },
      &found);
  return found;
}

void close_every_handle(Loop &loop) {
  uv_walk(
      loop.get(),
      [](uv_handle_t *handle, void *) {
        if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
      },
      nullptr);
}

void set(void *opaque) { *static_cast<bool *>(opaque) = true; }

// Watches of one fd, which is readable; removed at the end.
class Watches {
 public:
  Watches() : watches_(kMany) {
    signal_.make_readable();
    for (Watch &watch : watches_) {
      watch.id = virt_uv_add_handle(signal_.get(), VIR_EVENT_HANDLE_READABLE, Watch::take, &watch, Watch::free);
      REQUIRE(watch.id > 0);
    }
  }

  void remove() {
    for (const Watch &watch : watches_) CHECK(virt_uv_remove_handle(watch.id) == 0);
  }
  void update(int events) {
    for (const Watch &watch : watches_) virt_uv_update_handle(watch.id, events);
  }
  void reset() {
    for (Watch &watch : watches_) watch.calls = 0;
  }
  int called() const {
    return count([](const Watch &watch) { return watch.calls > 0; });
  }
  int freed() const {
    return count([](const Watch &watch) { return watch.frees == 1; });
  }

 private:
  struct Watch {
    int id = -1;
    int calls = 0;
    int frees = 0;
    static void take(int, int, int, void *opaque) { ++static_cast<Watch *>(opaque)->calls; }
    static void free(void *opaque) { ++static_cast<Watch *>(opaque)->frees; }
  };

  template <typename Is>
  int count(Is &&is) const {
    return static_cast<int>(std::count_if(watches_.begin(), watches_.end(), is));
  }

  Signal signal_;
  std::vector<Watch> watches_;
};

// One iteration, after which some of the watches have a handle and others wait for theirs.
void begin_to_open(Loop &loop) {
  loop.run_iterations(1);
  const int open = poll_handles(loop).open;
  CHECK(open > 1);
  CHECK(open < kMany);
}

}  // namespace

TEST_CASE(
    "an attach opens some handles in each iteration, and the loop does not sleep before every watch has its own") {
  Host host;
  Watches watches;
  for (int before = poll_handles(host.loop).open; before < kMany;) {
    CHECK(uv_backend_timeout(host.loop.get()) == 0);
    host.loop.run_iterations(1);
    const int now = poll_handles(host.loop).open;
    CHECK(now - before <= kMostInAnIteration);
    REQUIRE(now > before);
    before = now;
  }
  host.loop.run_iterations(2);
  CHECK(watches.called() == kMany);
  watches.remove();
  CHECK(drain(host.loop));
  CHECK(watches.freed() == kMany);
}

TEST_CASE("a detach closes some handles in each iteration, no watch is called meanwhile, and done comes last") {
  Host host;
  Watches watches;
  REQUIRE(host.loop.run_until([&] { return watches.called() == kMany; }));
  watches.reset();
  bool done = false;
  REQUIRE(virt_uv_detach(set, &done) == 0);
  while (!done) {
    CHECK(poll_handles(host.loop).closing <= kMostInAnIteration);
    host.loop.run_iterations(1);
  }
  CHECK(watches.called() == 0);
  CHECK(poll_handles(host.loop).open == 0);

  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  CHECK(host.loop.run_until([&] { return watches.called() == kMany; }));
  watches.remove();
  CHECK(drain(host.loop));
}

TEST_CASE("a watch that is removed while a detach closes handles is freed by the next attach, and never called") {
  Host host;
  Watches watches;
  REQUIRE(host.loop.run_until([&] { return watches.called() == kMany; }));
  bool done = false;
  REQUIRE(virt_uv_detach(set, &done) == 0);
  watches.reset();
  watches.remove();
  REQUIRE(host.loop.run_until([&] { return done; }));
  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  CHECK(drain(host.loop));
  CHECK(watches.freed() == kMany);
  CHECK(watches.called() == 0);
}

TEST_CASE("a host that closes every handle while a detach does gets done, and all goes on at the next attach") {
  Host host;
  Watches watches;
  REQUIRE(host.loop.run_until([&] { return watches.called() == kMany; }));
  bool done = false;
  REQUIRE(virt_uv_detach(set, &done) == 0);
  REQUIRE(poll_handles(host.loop).open > 0);
  close_every_handle(host.loop);
  CHECK(host.loop.run_until([&] { return done; }));

  watches.reset();
  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  CHECK(host.loop.run_until([&] { return watches.called() == kMany; }));
  watches.remove();
  CHECK(drain(host.loop));
  CHECK(watches.freed() == kMany);
}

TEST_CASE("a watch that waits for its handle may be removed: it is freed, and never called") {
  Host host;
  Watches watches;
  begin_to_open(host.loop);
  watches.reset();
  watches.remove();
  CHECK(drain(host.loop));
  CHECK(watches.freed() == kMany);
  CHECK(watches.called() == 0);
}

TEST_CASE("a watch that waits for its handle may be disabled, and enabled later") {
  Host host;
  Watches watches;
  begin_to_open(host.loop);
  watches.reset();
  watches.update(0);
  host.loop.run_iterations(10);
  CHECK(watches.called() == 0);
  watches.update(VIR_EVENT_HANDLE_READABLE);
  CHECK(host.loop.run_until([&] { return watches.called() == kMany; }));
  watches.remove();
  CHECK(drain(host.loop));
}

TEST_CASE("a detach while watches wait for their handles frees those that are removed, and passes on the others") {
  Host host;
  Watches removed;
  Watches kept;
  begin_to_open(host.loop);
  removed.remove();
  CHECK(detach(host.loop));
  CHECK(removed.freed() == kMany);

  kept.reset();
  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  CHECK(host.loop.run_until([&] { return kept.called() == kMany; }));
  kept.remove();
  CHECK(drain(host.loop));
  CHECK(kept.freed() == kMany);
}

TEST_CASE("a host that has closed the handle of a watch and detaches at once gets an end") {
  Host host;
  Signal signal;
  signal.make_readable();
  int calls = 0;
  const auto count = [](int, int, int, void *opaque) { ++*static_cast<int *>(opaque); };
  const int before = poll_handles(host.loop).open;
  const int id = virt_uv_add_handle(signal.get(), VIR_EVENT_HANDLE_READABLE, count, &calls, nullptr);
  REQUIRE(host.loop.run_until([&] { return calls > 0; }));
  REQUIRE(poll_handles(host.loop).open == before + 1);
  struct Ours {
    int fd;
    uv_handle_t *handle = nullptr;
  } last{-1};
  uv_walk(
      host.loop.get(),
      [](uv_handle_t *handle, void *opaque) {
        Ours &found = *static_cast<Ours *>(opaque);
        uv_os_fd_t fd;
        if (uv_handle_get_type(handle) != UV_POLL || uv_fileno(handle, &fd) != 0 || fd < found.fd) return;
        found = {fd, handle};
      },
      &last);
  uv_close(last.handle, nullptr);
  bool done = false;
  REQUIRE(virt_uv_detach(set, &done) == 0);
  CHECK(host.loop.run_until([&] { return done; }));
  calls = 0;
  REQUIRE(virt_uv_attach(host.loop.get(), nullptr) == 0);
  CHECK(host.loop.run_until([&] { return calls > 0; }));
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}
