// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt-uv-run.so: a libuv loop in the place of libvirt's default event loop.
//
// Since 6.1, libvirt's default loop is GLib's default main context, and virEventRunDefaultImpl() is one blocking
// iteration of it. What a program sees of that (when it returns, a signal that interrupts it, threads that take it in
// turn, other sources in the context, such as GDBus's in libvirtd) is kept by keeping that context: the libuv loop is
// one source of it, in the place of a source for each watch and timeout. The source polls libuv's epoll instance, for
// as long as libuv would sleep, and its dispatch is uv_run() without waiting.
//
// So what runs the loop is the thread that owns the context, and GLib sees to it that it is one at a time. Another
// thread may be the next one; it takes the loop before it touches it.
//
// The loop is made by the first iteration, and not by the registration: a daemon that forks in between has it in the
// process that runs it. What was registered before is kept by libvirt-uv, and comes along.
#include <dlfcn.h>
#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>
#include <virt-uv/virt-uv.h>

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <mutex>

#include "run_loop.h"

namespace {

class Loop {
 public:
  bool take_registration(bool shows_stats) noexcept;
  int run_iteration() noexcept;
  bool write_stats() noexcept;

 private:
  static gboolean on_prepare(GSource *source, gint *timeout);
  static gboolean on_check(GSource *source);
  static gboolean on_dispatch(GSource *source, GSourceFunc, gpointer);
  static void on_signal(int);

  void add_source() noexcept;
  void listen_to_signal() noexcept;
  int open() noexcept;
  int make_ready() noexcept;
  int milliseconds_to_sleep() noexcept;
  void run_owned_iteration() noexcept;
  bool catch_up(std::uint64_t expected) noexcept;
  void run_libuv() noexcept;

  static constexpr int kCatchUps = 3;

  std::mutex mutex_;  // of the registration
  bool is_registered_ = false;
  bool shows_stats_ = false;
  std::atomic<std::uint64_t> iterations_{0};
  std::atomic<pid_t> pid_{0};  // of the process that runs the loop; 0: there is none
  // The thread that owns the context.
  bool is_open_ = false;
  bool is_ready_ = false;
  bool is_passed_over_ = false;  // by this iteration, as it has been run
  std::uint64_t seen_wakeups_ = 0;
  GSource *source_ = nullptr;
  uv_loop_t loop_{};
  uv_async_t asked_{};  // for a line of statistics. As it is active, libuv sleeps also with nothing registered
};

// Never destroyed: libvirt may call for as long as the process lives.
Loop the_loop;

// Why the iteration that this thread runs could not run the loop.
thread_local int failure = 0;

void never_called(int, void *) {}

bool is_any_registered() noexcept {
  const int id = virEventAddTimeout(-1, never_called, nullptr, nullptr);
  if (id < 0) {
    virResetLastError();
    return false;
  }
  virEventRemoveTimeout(id);
  return true;
}

// libvirt exports virSetError() for its own daemons, and has it in no header.
void set_libvirt_error(virErrorPtr error) noexcept {
  const auto set = reinterpret_cast<void (*)(virErrorPtr)>(dlsym(RTLD_DEFAULT, "virSetError"));
  if (set != nullptr) set(error);
}

struct Counts {
  std::uint64_t wakeups, calls;
};

Counts counts() noexcept {
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  virt_uv_get_stats(&stats);
  return {stats.wakeups, stats.callbacks + stats.frees};
}

int fail_with_libvirt_error(int err) noexcept {
  char text[128];
  std::snprintf(text, sizeof text, "virt-uv-run: the event loop cannot be run: %s%s", uv_strerror(err),
                err == UV_EPERM ? " in a process that was forked after it had been run" : "");
  virError error{};
  error.code = VIR_ERR_INTERNAL_ERROR;
  error.domain = VIR_FROM_EVENT;
  error.level = VIR_ERR_ERROR;
  error.message = text;
  set_libvirt_error(&error);
  return -1;
}

// --- What the program calls ---

bool Loop::take_registration(bool shows_stats) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  virInitialize();
  virResetLastError();
  if (is_registered_) return true;
  if (is_any_registered()) return false;
  virEventRegisterImpl(virt_uv_add_handle, virt_uv_update_handle, virt_uv_remove_handle, virt_uv_add_timeout,
                       virt_uv_update_timeout, virt_uv_remove_timeout);
  is_registered_ = true;
  shows_stats_ = shows_stats;
  if (shows_stats) listen_to_signal();
  add_source();
  return true;
}

// Where another thread runs an iteration, GLib has this one wait for it.
int Loop::run_iteration() noexcept {
  virResetLastError();
  failure = 0;
  if (g_main_context_acquire(nullptr)) {
    run_owned_iteration();
    g_main_context_release(nullptr);
  } else {
    g_main_context_iteration(nullptr, TRUE);
  }
  return failure == 0 ? 0 : fail_with_libvirt_error(failure);
}

void Loop::run_owned_iteration() noexcept {
  const bool was_open = is_open_;
  is_passed_over_ =
      make_ready() == 0 && catch_up(was_open ? 0 : 1);  // attach has made a timeout, to see where it comes
  // The fd that is new in GLib's context wakes it.
  const bool is_done = is_open_ && !was_open && g_main_context_iteration(nullptr, FALSE);
  if (!is_done) g_main_context_iteration(nullptr, !is_passed_over_);
  is_passed_over_ = false;
}

// Takes in what was registered before the iteration: this is nothing that an iteration of libvirt's loop would return
// for, and libuv has a change in its epoll instance only after an iteration or two. True: more callbacks and `ff`s than
// `expected` have been called, so that was the iteration, as far as this source is concerned.
bool Loop::catch_up(std::uint64_t expected) noexcept {
  const std::uint64_t called = counts().calls + expected;
  for (int i = 0; i < kCatchUps && (counts().wakeups != seen_wakeups_ || milliseconds_to_sleep() == 0); ++i) {
    run_libuv();
    if (counts().calls > called) return true;
  }
  return false;
}

void Loop::run_libuv() noexcept {
  seen_wakeups_ = counts().wakeups;
  uv_run(&loop_, UV_RUN_NOWAIT);
}

// --- The source ---

void Loop::add_source() noexcept {
  static GSourceFuncs functions = {on_prepare, on_check, on_dispatch, nullptr, nullptr, nullptr};
  source_ = g_source_new(&functions, sizeof(GSource));
  g_source_set_name(source_, "virt-uv");
  g_source_set_can_recurse(source_, TRUE);  // a callback may run the loop
  g_source_attach(source_, nullptr);
}

int Loop::open() noexcept {
  if (const int err = uv_loop_init(&loop_)) return err;
  int err = uv_async_init(&loop_, &asked_, [](uv_async_t *) { the_loop.write_stats(); });
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  options.slow_callback_ms = shows_stats_ ? UINT_MAX : 0;  // measured, and never too slow
  if (err == 0) err = virt_uv_attach(&loop_, &options);
  if (err < 0) {
    uv_close(reinterpret_cast<uv_handle_t *>(&asked_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  return err;
}

// The loop is there, and this thread's.
int Loop::make_ready() noexcept {
  if (is_open_) return virt_uv_take_loop();
  const int err = open();
  if (err < 0) return err;
  g_source_add_unix_fd(source_, uv_backend_fd(&loop_), G_IO_IN);
  is_open_ = true;
  pid_.store(getpid());
  return 0;
}

// uv_backend_timeout() counts from the loop's idea of the time.
int Loop::milliseconds_to_sleep() noexcept {
  uv_update_time(&loop_);
  return uv_backend_timeout(&loop_);
}

// A loop that cannot be run counts as ready: so the iteration ends, and its caller hears of it.
gboolean Loop::on_prepare(GSource *, gint *timeout) {
  Loop &self = the_loop;
  self.iterations_.fetch_add(1, std::memory_order_relaxed);
  *timeout = -1;
  if (self.is_passed_over_) return FALSE;
  failure = self.make_ready();
  self.is_ready_ = failure == 0;
  if (!self.is_ready_) return TRUE;
  *timeout = self.milliseconds_to_sleep();
  return *timeout == 0;
}

// GLib looks at the fd by itself.
gboolean Loop::on_check(GSource *) {
  Loop &self = the_loop;
  return self.is_ready_ && !self.is_passed_over_ && self.milliseconds_to_sleep() == 0;
}

gboolean Loop::on_dispatch(GSource *, GSourceFunc, gpointer) {
  if (the_loop.is_ready_ && !the_loop.is_passed_over_) the_loop.run_libuv();
  return G_SOURCE_CONTINUE;
}

// --- Statistics ---

// SIGUSR2 is the program's where it handles or ignores it.
void Loop::listen_to_signal() noexcept {
  struct sigaction action;
  if (sigaction(SIGUSR2, nullptr, &action) < 0 || action.sa_handler != SIG_DFL) return;
  action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR2, &action, nullptr);
}

// A forked child has the handler, and its parent's loop.
void Loop::on_signal(int) {
  const int error = errno;
  if (the_loop.pid_.load() == getpid()) uv_async_send(&the_loop.asked_);
  errno = error;
}

bool Loop::write_stats() noexcept {
  if (pid_.load() != getpid()) return false;
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  virt_uv_get_stats(&stats);
  dprintf(STDERR_FILENO,
          "virt-uv-run: %s[%d]: iterations %" PRIu64 ", wake-ups %" PRIu64 ", dispatches %" PRIu64
          ", slowest callback %" PRIu64 ".%03" PRIu64 " ms, watches %" PRIu64 " (at most %" PRIu64
          "), timeouts %" PRIu64 " (at most %" PRIu64 ")\n",
          program_invocation_short_name, static_cast<int>(getpid()), iterations_.load(), stats.wakeups, stats.callbacks,
          stats.longest_us / 1000, stats.longest_us % 1000, stats.watches, stats.most_watches, stats.timeouts,
          stats.most_timeouts);
  return true;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const struct virt_uv_run_loop virt_uv_run_loop = {
    [](int shows_stats) -> int { return the_loop.take_registration(shows_stats != 0); },
    []() -> int { return the_loop.run_iteration(); },
    []() -> int { return the_loop.write_stats(); },
};
