/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "line_writer.hpp"

#include <algorithm>
#include <utility>

namespace events {
namespace {

constexpr std::size_t kBatchBytes = 65536;

}  // namespace

int LineWriter::open(uv_loop_t *loop, int fd, std::function<void(int)> failed, std::function<void()> idle) {
  failed_ = std::move(failed);
  idle_ = std::move(idle);
  return open_byte_stream(loop, fd, stream_);
}

void LineWriter::put(std::string line) {
  if (has_failed_) return;
  queue_.put(std::move(line));
  if (batch_ends_.empty()) write_batch();
}

void LineWriter::write_batch() {
  if (queue_.is_empty() || closing_ || stream_ == nullptr) return;
  std::string batch;
  while (!queue_.is_empty() && (batch.empty() || batch.size() + queue_.at(0).size() <= kBatchBytes)) {
    batch += queue_.take();
    batch_ends_.push_back(batch.size());
  }
  stream_->write(std::move(batch), [this](int error) {
    if (error < 0) {
      if (!closing_ && !std::exchange(has_failed_, true)) failed_(error);
      return;
    }
    batch_ends_.clear();
    write_batch();
    if (is_idle()) idle_();
  });
}

std::size_t LineWriter::unwritten() const {
  if (batch_ends_.empty()) return queue_.size();
  std::size_t pending = stream_ == nullptr ? 0 : stream_->pending_bytes();
  std::size_t written = batch_ends_.back() - std::min(pending, batch_ends_.back());
  auto in_batch = std::count_if(batch_ends_.begin(), batch_ends_.end(), [=](std::size_t end) { return end > written; });
  return queue_.size() + static_cast<std::size_t>(in_batch);
}

void LineWriter::close(std::function<void()> closed) {
  closing_ = true;
  stream_->close(std::move(closed));
}

void LineWriter::restore() {
  if (stream_ != nullptr) stream_->restore();
}

}  // namespace events
