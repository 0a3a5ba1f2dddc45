/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <virt-uv/virt-uv.h>

#include <utility>

#include "line.hpp"
#include "record.hpp"

namespace events {
namespace {

mode_t type_of_stdout() {
  struct stat status;
  return fstat(STDOUT_FILENO, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

}  // namespace

Output::Output(RecordFormat format, std::size_t queue_bytes)
    : format_(std::move(format)),
      writer_(queue_bytes, [this](const Gap &gap) { return format_.line(dropped_record(gap)); }) {}

int Output::open(uv_loop_t *loop, SinkOwner *owner) {
  owner_ = owner;
  int error = writer_.open(
      loop, STDOUT_FILENO, [this](int write_error) { fail(write_error); }, [this] { owner_->sink_idle(); });
  if (error == 0) watch_reader();
  return error;
}

void Output::put(const virt_uv::watch::Record &record) {
  std::string line = format_.line(record);
  if (!line.empty()) writer_.put(std::move(line));
}

/* Where the watch cannot be had, the next write finds out. */
void Output::watch_reader() {
  mode_t type = type_of_stdout();
  if (type != S_IFIFO && type != S_IFSOCK) return;
  watch_ = virt_uv_add_handle(
      STDOUT_FILENO, VIR_EVENT_HANDLE_ERROR,
      [](int, int, int, void *opaque) { static_cast<Output *>(opaque)->reader_gone(); }, this, nullptr);
}

void Output::unwatch_reader() {
  if (watch_ > 0) virt_uv_remove_handle(std::exchange(watch_, -1));
}

void Output::reader_gone() {
  unwatch_reader();
  if (type_of_stdout() == S_IFSOCK) return owner_->sink_failed(1, "the reader of standard output has gone");
  owner_->sink_failed(0, "");
}

void Output::fail(int error) {
  if (error == UV_EPIPE || error == UV_ECONNRESET) return reader_gone();
  owner_->sink_failed(1, fmt::format("stdout cannot be written: {}", uv_strerror(error)));
}

void Output::close(std::function<void()> closed) {
  unwatch_reader();
  writer_.close(std::move(closed));
}

}  // namespace events
