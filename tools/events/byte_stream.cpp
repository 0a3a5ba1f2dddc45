/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "byte_stream.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "workers.hpp"

namespace events {
namespace {

/* An fd of our own, non-blocking, for what `fd` is open on. O_NONBLOCK belongs to the open file, which other processes
 * may share: so it is opened anew where that works. Where it does not (a socket; a pipe or terminal of another user),
 * the shared one is made non-blocking until restore(). */
class NonBlockingFd {
 public:
  int open(int fd) {
    number_ = ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (number_ >= 0) return 0;
    number_ = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (number_ < 0) return -errno;
    shared_ = fd;
    flags_ = fcntl(fd, F_GETFL);
    return 0;
  }

  int number() const { return number_; }

  void restore() {
    if (shared_ >= 0) fcntl(std::exchange(shared_, -1), F_SETFL, flags_);
  }

 private:
  int number_ = -1;
  int shared_ = -1, flags_ = 0;
};

/* uv_pipe_t is libuv's stream for any fd: uv_pipe_open asks only for what it can be read and written. */
class LoopStream final : public ByteStream {
 public:
  int open(uv_loop_t *loop, int fd) {
    int error = fd_.open(fd);
    if (error < 0) return error;
    uv_pipe_init(loop, &pipe_, 0);
    pipe_.data = this;
    uv_pipe_open(&pipe_, fd_.number()); /* where it fails, the first write does */
    return 0;
  }

  void write(std::string bytes, std::function<void(int)> done) override {
    bytes_ = std::move(bytes);
    done_ = std::move(done);
    request_.data = this;
    uv_buf_t buffer = uv_buf_init(bytes_.data(), static_cast<unsigned>(bytes_.size()));
    int error =
        uv_write(&request_, reinterpret_cast<uv_stream_t *>(&pipe_), &buffer, 1, [](uv_write_t *request, int status) {
          auto *self = static_cast<LoopStream *>(request->data);
          std::exchange(self->done_, nullptr)(status);
        });
    if (error < 0) std::exchange(done_, nullptr)(error);
  }

  std::size_t pending_bytes() const override {
    return uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t *>(&pipe_));
  }

  void close(std::function<void()> closed) override {
    restore();
    closed_ = std::move(closed);
    uv_close(reinterpret_cast<uv_handle_t *>(&pipe_),
             [](uv_handle_t *pipe) { static_cast<LoopStream *>(pipe->data)->closed_(); });
  }

  void restore() override { fd_.restore(); }

 private:
  NonBlockingFd fd_;
  uv_pipe_t pipe_;
  uv_write_t request_;
  std::string bytes_;
  std::function<void(int)> done_;
  std::function<void()> closed_;
};

/* The thread is this file's own: no connection that waits for a host can hold it up. */
class ThreadStream final : public ByteStream {
 public:
  int open(uv_loop_t *loop, int fd) {
    fd_ = fd;
    return worker_.start(loop, [](std::size_t, const std::string &) {});
  }

  void write(std::string bytes, std::function<void(int)> done) override {
    auto error = std::make_shared<int>(0);
    pending_ = bytes.size();
    bool running = worker_.run([fd = fd_, bytes = std::move(bytes), error] { *error = write_all(fd, bytes); },
                               [this, error, done] {
                                 pending_ = 0;
                                 done(*error);
                               });
    if (!running) worker_.post([done] { done(UV_EAGAIN); });
  }

  std::size_t pending_bytes() const override { return pending_; }

  void close(std::function<void()> closed) override { worker_.close(std::move(closed)); }

 private:
  static int write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t written = ::write(fd, bytes.data(), bytes.size());
      if (written >= 0)
        bytes.remove_prefix(static_cast<std::size_t>(written));
      else if (errno != EINTR)
        return -errno;
    }
    return 0;
  }

  int fd_ = -1;
  std::size_t pending_ = 0;
  virt_uv::watch::Workers worker_;
};

bool is_stream(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(fd) == 1);
}

template <typename Stream>
int open_stream(uv_loop_t *loop, int fd, std::unique_ptr<ByteStream> &ret) {
  auto stream = std::make_unique<Stream>();
  int error = stream->open(loop, fd);
  if (error == 0) ret = std::move(stream);
  return error;
}

}  // namespace

int open_byte_stream(uv_loop_t *loop, int fd, std::unique_ptr<ByteStream> &ret) {
  return is_stream(fd) ? open_stream<LoopStream>(loop, fd, ret) : open_stream<ThreadStream>(loop, fd, ret);
}

}  // namespace events
