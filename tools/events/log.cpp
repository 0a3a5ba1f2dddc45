/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "line.hpp"
#include "values.hpp"

namespace events {
namespace {

constexpr std::size_t kQueueBytes = 262144;

/* libvirt's messages may have several lines. */
std::string one_line(std::string message) {
  while (!message.empty() && message.back() == '\n') message.pop_back();
  for (char &c : message)
    if (c == '\n') c = ' ';
  return virt_uv::watch::escaped(message);
}

/* $JOURNAL_STREAM is the device and inode of the journal's socket. */
bool is_journal(int fd) {
  const char *journal = std::getenv("JOURNAL_STREAM");
  struct stat status;
  return journal != nullptr && fstat(fd, &status) == 0 && fmt::format("{}:{}", status.st_dev, status.st_ino) == journal;
}

/* As in syslog(3). */
int priority(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return 3;
    case Severity::kWarning:
      return 4;
    default:
      return 6;
  }
}

std::string timed(const std::string &message) {
  return fmt::format("{} virt-uv-events: {}\n", virt_uv::watch::timestamp(std::chrono::system_clock::now()), message);
}

}  // namespace

void print_error(const std::string &message) {
  std::string line = fmt::format("virt-uv-events: {}\n", one_line(message));
  std::fwrite(line.data(), 1, line.size(), stderr);
}

Log::Log()
    : writer_(kQueueBytes, [](const Gap &gap) { return timed(fmt::format("{} lines are left out here", gap.count)); }) {
}

/* A failure to write stderr can be told to nobody. */
int Log::open(uv_loop_t *loop, bool quiet) {
  quiet_ = quiet;
  journal_ = is_journal(STDERR_FILENO);
  int error = uv_async_init(loop, &wake_, [](uv_async_t *wake) { static_cast<Log *>(wake->data)->pass_on(); });
  if (error < 0) return error;
  wake_.data = this;
  error = writer_.open(
      loop, STDERR_FILENO, [](int) {}, [] {});
  std::lock_guard<std::mutex> guard(mutex_);
  open_ = true;
  return error;
}

void Log::write(Severity severity, const std::string &message) {
  if (quiet_ && severity == Severity::kInfo) return;
  std::string text = one_line(message);
  std::string line = journal_ ? fmt::format("<{}>{}\n", priority(severity), text) : timed(text);
  std::lock_guard<std::mutex> guard(mutex_);
  if (!open_) return;
  lines_.push_back(std::move(line));
  uv_async_send(&wake_);
}

void Log::pass_on() {
  std::vector<std::string> lines;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    lines.swap(lines_);
  }
  for (std::string &line : lines) writer_.put(std::move(line));
}

bool Log::is_idle() {
  pass_on();
  return writer_.is_idle();
}

void Log::close(std::function<void()> closed) {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    open_ = false;
  }
  closed_ = std::move(closed);
  uv_close(reinterpret_cast<uv_handle_t *>(&wake_), [](uv_handle_t *wake) {
    auto *self = static_cast<Log *>(wake->data);
    self->writer_.close([self] { self->closed_(); });
  });
}

}  // namespace events
