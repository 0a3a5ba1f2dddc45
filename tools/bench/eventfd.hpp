// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An eventfd: what every workload without a daemon watches. Ready or not ready at creation, and left so.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace virt_uv::bench {

class Eventfd {
 public:
  explicit Eventfd(bool ready) : fd_(eventfd(ready ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd (raise the limit of open files?)");
  }
  Eventfd(Eventfd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Eventfd &operator=(Eventfd &&) = delete;
  ~Eventfd() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  void make_ready() {
    if (eventfd_write(fd_, 1) < 0) throw std::system_error(errno, std::generic_category(), "eventfd_write");
  }

 private:
  int fd_;
};

inline std::vector<Eventfd> make_eventfds(int count, bool ready) {
  std::vector<Eventfd> ret;
  ret.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) ret.emplace_back(ready);
  return ret;
}

}  // namespace virt_uv::bench
