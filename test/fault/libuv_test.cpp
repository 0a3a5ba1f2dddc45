// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A libuv that breaks what the library relies on, or fails. This program's own uv_* come before libuv's, and pass each
// call on, except for the one fact that a case breaks.
#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "host.hpp"
#include "pipes.hpp"
#include "self.hpp"

namespace {

enum class Broken {
  kNothing,
  kMajorVersion,
  kLoopSize,
  kHandleSize,
  kPollInit,
  kPollStart,
  kPollStartFails,
  kHangup,
  kError,
  kStop,
  kRun,
  kDefaultLoop,
};

Broken broken = Broken::kNothing;
int starts_refused = 0;
const uv_poll_t *first_started = nullptr;  // since broken is kRun

template <typename Function>
Function *real(const char *name) {
  Function *function = nullptr;
  void *const symbol = dlsym(RTLD_NEXT, name);
  REQUIRE(symbol != nullptr);
  std::memcpy(&function, &symbol, sizeof function);
  return function;
}

void leave_in_epoll(const uv_poll_t *poll) {
  uv_os_fd_t fd = -1;
  REQUIRE(uv_fileno(reinterpret_cast<const uv_handle_t *>(poll), &fd) == 0);
  epoll_event nothing{};
  epoll_ctl(uv_backend_fd(poll->loop), EPOLL_CTL_ADD, fd, &nothing);
}

}  // namespace

// --- libuv's functions, as the library sees them ---

unsigned uv_version() {
  const unsigned version = real<decltype(uv_version)>("uv_version")();
  return broken == Broken::kMajorVersion ? version + (1u << 16) : version;
}

size_t uv_loop_size() { return real<decltype(uv_loop_size)>("uv_loop_size")() + (broken == Broken::kLoopSize ? 8 : 0); }

size_t uv_handle_size(uv_handle_type type) {
  const bool grown = broken == Broken::kHandleSize && type == UV_POLL;
  return real<decltype(uv_handle_size)>("uv_handle_size")(type) + (grown ? 8 : 0);
}

int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd) {
  const int err = real<decltype(uv_poll_init)>("uv_poll_init")(loop, poll, fd);
  if (broken == Broken::kPollInit) leave_in_epoll(poll);
  return err;
}

int uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb cb) {
  if (broken == Broken::kPollStartFails) {
    ++starts_refused;
    return UV_ENOMEM;
  }
  if (broken == Broken::kHangup && events == UV_PRIORITIZED) return 0;
  if (broken == Broken::kError && events == UV_WRITABLE) return 0;
  if (broken == Broken::kRun && first_started == nullptr) first_started = poll;
  const int err = real<decltype(uv_poll_start)>("uv_poll_start")(poll, events, cb);
  if (broken == Broken::kPollStart) leave_in_epoll(poll);
  return err;
}

int uv_run(uv_loop_t *loop, uv_run_mode mode) {
  const int alive = real<decltype(uv_run)>("uv_run")(loop, mode);
  const auto *const started = reinterpret_cast<const uv_handle_t *>(first_started);
  if (broken == Broken::kRun && !uv_is_closing(started)) leave_in_epoll(first_started);
  return alive;
}

int uv_is_active(const uv_handle_t *handle) {
  return broken == Broken::kStop ? 1 : real<decltype(uv_is_active)>("uv_is_active")(handle);
}

uv_loop_t *uv_default_loop() {
  return broken == Broken::kDefaultLoop ? nullptr : real<decltype(uv_default_loop)>("uv_default_loop")();
}

// --- libc's, behind pthread_atfork(), which is a part of the library itself ---

namespace {
bool refuses_fork_handlers = false;
}

// What pthread_atfork(3) calls, also before main().
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void *dso) {
  using Register = int (*)(void (*)(), void (*)(), void (*)(), void *);
  static const auto next = reinterpret_cast<Register>(dlsym(RTLD_NEXT, "__register_atfork"));
  return refuses_fork_handlers ? ENOMEM : next(prepare, parent, child, dso);
}

TEST_CASE("attach refuses a libuv that breaks a fact, and names the fact") {
  struct Case {
    Broken what;
    const char *named;
  };
  const Case cases[] = {
      {Broken::kMajorVersion, "another major version"},
      {Broken::kLoopSize, "uv_loop_t"},
      {Broken::kHandleSize, "uv_poll_t"},
      {Broken::kPollInit, "uv_poll_init leaves the fd in epoll"},
      {Broken::kPollStart, "uv_poll_start does not take the fd out of epoll first"},
      {Broken::kHangup, "a handle that asks for UV_PRIORITIZED is not told of a hang-up"},
      {Broken::kError, "a handle is not told of an error"},
      {Broken::kStop, "a handle that is told of an error is not stopped"},
      {Broken::kRun, "a handle that is started already is put into epoll again"},
  };
  Loop loop;
  for (const Case &each : cases) {
    INFO(each.named);
    Lines lines;
    const virt_uv_options options = logging_to(lines);
    broken = each.what;
    const int err = virt_uv_attach(loop.get(), &options);
    broken = Broken::kNothing;
    CHECK(err == UV_ENOTSUP);
    CHECK(lines.count(VIRT_UV_LOG_ERROR, "") == 1);
    CHECK(lines.count(VIRT_UV_LOG_ERROR, std::string("cannot drive this libuv: ") + each.named + ". Built with") == 1);
    CHECK(virt_uv_loop() == nullptr);
  }
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  CHECK(detach(loop));
}

TEST_CASE("a watch that was deferred for another reason, and then cannot be armed, is named in the log once") {
  Host host;
  TcpPair tcp;
  int calls = 0;
  const int id = virt_uv_add_handle(
      tcp.ours.get(), VIR_EVENT_HANDLE_ERROR, [](int, int, int, void *opaque) { ++*static_cast<int *>(opaque); },
      &calls, nullptr);
  const std::uint64_t before = stats().inspections;
  REQUIRE(send(tcp.peer.get(), "!", 1, MSG_OOB) == 1);  // is neither, and would wake the loop for ever
  REQUIRE(host.loop.run_until([&] { return stats().inspections > before; }));
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "") == 0);

  starts_refused = 0;
  broken = Broken::kPollStartFails;
  CHECK(host.loop.run_until([] { return starts_refused >= 3; }));
  broken = Broken::kNothing;
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "watch " + std::to_string(id)) == 1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "cannot be armed") == 1);

  virt_uv_update_handle(id, VIR_EVENT_HANDLE_WRITABLE);
  CHECK(host.loop.run_until([&] { return calls > 0; }));
  CHECK(virt_uv_remove_handle(id) == 0);
  CHECK(drain(host.loop));
}

TEST_CASE("attach without a loop returns UV_ENOMEM where libuv has no default loop") {
  Lines lines;
  const virt_uv_options options = logging_to(lines);
  broken = Broken::kDefaultLoop;
  CHECK(virt_uv_attach(nullptr, &options) == UV_ENOMEM);
  broken = Broken::kNothing;
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "cannot attach: uv_default_loop() has no loop") == 1);
  CHECK(virt_uv_loop() == nullptr);
}

TEST_CASE("attach refuses a loop whose libuv is in no file, and says so") {
  static char code[1];
  Loop loop;
  Lines lines;
  const virt_uv_options options = logging_to(lines);
  void *const page = mmap(nullptr, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  const uv_async_cb own = loop.get()->wq_async.async_cb;
  for (void *found : {page, static_cast<void *>(code)}) {
    std::memcpy(&loop.get()->wq_async.async_cb, &found, sizeof found);
    CHECK(virt_uv_attach(loop.get(), &options) == UV_ENOTSUP);
  }
  loop.get()->wq_async.async_cb = own;
  CHECK(munmap(page, 1) == 0);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "cannot drive this loop: it was made by the libuv in (unknown), but") == 1);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "cannot drive this loop: it was made by the libuv in ") == 2);
  CHECK(lines.count(VIRT_UV_LOG_ERROR, "/libuv.so") == 2);  // the file of what this program calls
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  CHECK(detach(loop));
}

TEST_CASE("attach where no fork handler can be registered", "[.lines]") {
  Loop loop;
  refuses_fork_handlers = true;
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  REQUIRE(detach(loop));
  REQUIRE(virt_uv_attach(loop.get(), nullptr) == 0);
  REQUIRE(detach(loop));
}

TEST_CASE("where fork cannot be noticed, attach succeeds and warns of it") {
  const Outcome outcome = run_self("attach where no fork handler can be registered");
  CHECK(outcome.status == 0);
  CHECK(outcome.stderr_text.find("warn: fork() cannot be noticed: a forked child must not call") != std::string::npos);
}
