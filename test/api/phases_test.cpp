// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the host's own code calls on the loop's thread, in any phase of an iteration, before our call in that phase or
// after it. Nothing is known there of what follows; a change of what libuv polls for may be on its way to the kernel.
#include <poll.h>

#include <functional>

#include "host.hpp"
#include "pipes.hpp"

namespace {

// Calls `act` once in a phase of the host's.
class Phase {
 public:
  explicit Phase(Loop &loop) : loop_(loop) {}
  virtual ~Phase() = default;
  virtual void start() = 0;
  virtual void close() = 0;
  void act_once(std::function<void()> act) { act_ = std::move(act); }
  bool has_acted() const { return acted_; }

 protected:
  void come() {
    if (!act_ || acted_) return;
    acted_ = true;
    act_();
  }
  Loop &loop_;

 private:
  std::function<void()> act_;
  bool acted_ = false;
};

template <typename Handle, int (*kInit)(uv_loop_t *, Handle *), int (*kStart)(Handle *, void (*)(Handle *))>
class PhaseOf : public Phase {
 public:
  explicit PhaseOf(Loop &loop) : Phase(loop) { kInit(loop.get(), &handle_); }
  void start() override {
    handle_.data = this;
    kStart(&handle_, [](Handle *handle) { static_cast<PhaseOf *>(handle->data)->come(); });
  }
  void close() override { loop_.close(reinterpret_cast<uv_handle_t *>(&handle_)); }

 private:
  Handle handle_{};
};

int start_timer(uv_timer_t *timer, uv_timer_cb call) { return uv_timer_start(timer, call, 0, 1); }

using Timer = PhaseOf<uv_timer_t, uv_timer_init, start_timer>;
using Idle = PhaseOf<uv_idle_t, uv_idle_init, uv_idle_start>;
using Prepare = PhaseOf<uv_prepare_t, uv_prepare_init, uv_prepare_start>;
using Check = PhaseOf<uv_check_t, uv_check_init, uv_check_start>;

short poll_now(int fd) {
  pollfd asked = {fd, POLLIN, 0};
  return poll(&asked, 1, 0) > 0 ? asked.revents : short{0};
}

// A watch that, when called, asks for more than it has: libuv is told within the iteration, and the kernel later.
struct Widening {
  int called = 0;
  bool freed = false;

  static void event(int id, int, int, void *opaque) {
    if (++static_cast<Widening *>(opaque)->called == 1)
      virt_uv_update_handle(id, VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_WRITABLE);
  }
  static void free(void *opaque) { static_cast<Widening *>(opaque)->freed = true; }
};

template <typename Kind>
void remove_and_close_in_a_phase(bool started_before_attach) {
  Loop loop;
  Kind phase(loop);
  if (started_before_attach) phase.start();
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  if (!started_before_attach) phase.start();
  loop.run_iterations(2);
  const std::set<int> polled = fds_in_epoll(uv_backend_fd(loop.get()));
  SocketPair pair;
  REQUIRE(write(pair.peer.get(), "x", 1) == 1);
  Widening watch;
  const int id =
      virt_uv_add_handle(pair.ours.get(), VIR_EVENT_HANDLE_READABLE, Widening::event, &watch, Widening::free);
  REQUIRE(loop.run_until([&] { return watch.called == 1; }));
  char byte;
  REQUIRE(read(pair.ours.get(), &byte, 1) == 1);

  short peer_sees = 0;
  phase.act_once([&] {
    REQUIRE(virt_uv_remove_handle(id) == 0);
    pair.ours.close();
    peer_sees = poll_now(pair.peer.get());
  });
  REQUIRE(loop.run_until([&] { return phase.has_acted(); }));
  CHECK((peer_sees & POLLHUP) != 0);
  CHECK(loop.run_until([&] { return watch.freed; }));
  loop.run_iterations(2);
  CHECK(fds_in_epoll(uv_backend_fd(loop.get())) == polled);
  phase.close();
  CHECK(detach(loop));
}

}  // namespace

TEST_CASE("a watch may be removed in any phase of the host's, and its file closes at once") {
  for (const bool before : {true, false}) {
    INFO((before ? "started before the attach" : "started after it"));
    remove_and_close_in_a_phase<Timer>(before);
    remove_and_close_in_a_phase<Idle>(before);
    remove_and_close_in_a_phase<Prepare>(before);
    remove_and_close_in_a_phase<Check>(before);
  }
}
