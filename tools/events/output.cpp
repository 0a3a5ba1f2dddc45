/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <virt-uv/virt-uv.h>

#include <cerrno>
#include <utility>

namespace events {
namespace {

/* What is at the other end may have made our end non-blocking: it is one open file for both. */
bool wait_until_writable() {
  pollfd writable = {STDOUT_FILENO, POLLOUT, 0};
  return poll(&writable, 1, -1) == 1;
}

bool has_reader() {
  struct stat status;
  return fstat(STDOUT_FILENO, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

}  // namespace

int Output::write(std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<std::size_t>(written));
    else if (errno == EAGAIN ? !wait_until_writable() && errno != EINTR : errno != EINTR)
      return errno;
  }
  return 0;
}

void Output::watch_reader(std::function<void()> gone) {
  if (!has_reader()) return;
  gone_ = std::move(gone);
  watch_ = virt_uv_add_handle(
      STDOUT_FILENO, VIR_EVENT_HANDLE_ERROR,
      [](int, int, int, void *opaque) {
        auto *self = static_cast<Output *>(opaque);
        self->unwatch_reader();
        self->gone_();
      },
      this, nullptr);
}

void Output::unwatch_reader() {
  if (watch_ > 0) virt_uv_remove_handle(std::exchange(watch_, -1));
}

}  // namespace events
