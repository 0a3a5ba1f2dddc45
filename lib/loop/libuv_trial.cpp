// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/libuv_trial.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace virt_uv::loop {
namespace {

class TrialFd {
 public:
  TrialFd() = default;
  explicit TrialFd(int fd) noexcept : fd_(fd) {}
  TrialFd(const TrialFd &) = delete;
  TrialFd &operator=(const TrialFd &) = delete;
  ~TrialFd() { reset(); }

  int get() const noexcept { return fd_; }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// One end of a pipe whose other end is closed.
int open_broken_pipe(TrialFd &ret, int end) noexcept {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return uv_translate_sys_error(errno);
  close(ends[1 - end]);
  ret.reset(ends[end]);
  return 0;
}

// A poll handle on the trial loop, and what its callback was told. It outlives its close callback.
class TrialPoll {
 public:
  int open(uv_loop_t *loop, int fd) noexcept {
    const int err = uv_poll_init(loop, &poll_, fd);
    is_open_ = err == 0;
    poll_.data = this;
    return err;
  }
  void start(int events) noexcept { uv_poll_start(&poll_, events, on_event); }
  void close() noexcept {
    if (is_open_) uv_close(base(), nullptr);
  }
  bool was_called() const noexcept { return was_called_; }
  bool goes_on_after_error() const noexcept { return has_failed_ && uv_is_active(base()) != 0; }

 private:
  static void on_event(uv_poll_t *poll, int status, int) {
    auto &self = *static_cast<TrialPoll *>(poll->data);
    self.was_called_ = true;
    self.has_failed_ = status < 0;
  }

  uv_handle_t *base() noexcept { return reinterpret_cast<uv_handle_t *>(&poll_); }
  const uv_handle_t *base() const noexcept { return reinterpret_cast<const uv_handle_t *>(&poll_); }

  uv_poll_t poll_{};
  bool is_open_ = false;
  bool was_called_ = false;
  bool has_failed_ = false;
};

class Trial {
 public:
  TrialResult run() noexcept {
    TrialResult result;
    result.error = uv_loop_init(&loop_);
    if (result.error < 0) return result;
    result.async_cb = reinterpret_cast<void *>(loop_.wq_async.async_cb);
    result.error = open();
    if (result.error == 0) result.difference = find_difference();
    for (TrialPoll *poll : {&quiet_poll_, &hangup_poll_, &error_poll_}) poll->close();
    uv_run(&loop_, UV_RUN_NOWAIT);
    uv_loop_close(&loop_);
    return result;
  }

 private:
  int open() noexcept {
    quiet_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (quiet_.get() < 0) return uv_translate_sys_error(errno);
    if (const int err = open_broken_pipe(reader_, 0)) return err;
    if (const int err = open_broken_pipe(writer_, 1)) return err;
    if (const int err = open_quiet()) return err;
    if (const int err = hangup_poll_.open(&loop_, reader_.get())) return err;
    return error_poll_.open(&loop_, writer_.get());
  }

  int open_quiet() noexcept {
    if (const int err = quiet_poll_.open(&loop_, quiet_.get())) return err;
    stays_after_init_ = is_in_epoll();
    epoll_event event{};
    if (epoll_ctl(uv_backend_fd(&loop_), EPOLL_CTL_ADD, quiet_.get(), &event) < 0) return uv_translate_sys_error(errno);
    quiet_poll_.start(UV_READABLE);
    stays_after_start_ = is_in_epoll();
    return 0;
  }

  const char *find_difference() noexcept {
    if (stays_after_init_) return "uv_poll_init leaves the fd in epoll";
    if (stays_after_start_) return "uv_poll_start does not take the fd out of epoll first";
    hangup_poll_.start(UV_PRIORITIZED);
    error_poll_.start(UV_WRITABLE);
    uv_run(&loop_, UV_RUN_NOWAIT);
    if (puts_into_epoll_again()) return "a handle that is started already is put into epoll again";
    if (!hangup_poll_.was_called()) return "a handle that asks for UV_PRIORITIZED is not told of a hang-up";
    if (!error_poll_.was_called()) return "a handle is not told of an error";
    if (error_poll_.goes_on_after_error()) return "a handle that is told of an error is not stopped";
    return nullptr;
  }

  bool puts_into_epoll_again() noexcept {
    is_in_epoll();
    uv_run(&loop_, UV_RUN_NOWAIT);
    return is_in_epoll();
  }

  // Takes it out, if so.
  bool is_in_epoll() noexcept {
    epoll_event ignored{};
    return epoll_ctl(uv_backend_fd(&loop_), EPOLL_CTL_DEL, quiet_.get(), &ignored) == 0;
  }

  uv_loop_t loop_{};
  TrialFd quiet_, reader_, writer_;
  TrialPoll quiet_poll_, hangup_poll_, error_poll_;
  bool stays_after_init_ = false;
  bool stays_after_start_ = false;
};

}  // namespace

TrialResult try_libuv() noexcept { return Trial().run(); }

}  // namespace virt_uv::loop
