// SPDX-License-Identifier: LGPL-2.1-or-later
#include "transfer.hpp"

#include <algorithm>
#include <array>

#include "host.hpp"

namespace {

constexpr std::size_t kChunk = 64 * 1024;
constexpr int kWouldBlock = -2;

}  // namespace

Transfer::Transfer(virStorageVolPtr volume, Direction direction, const std::string &data, std::size_t abort_after)
    : data_(data), abort_after_(abort_after), stream_(virStorageVolGetConnect(volume), [this, direction](int) {
        direction == Direction::kUpload ? send() : receive();
      }) {
  if (direction == Direction::kUpload) {
    must(virStorageVolUpload(volume, stream_.get(), 0, data.size(), 0), "virStorageVolUpload");
    stream_.listen(VIR_STREAM_EVENT_WRITABLE);
  } else {
    must(virStorageVolDownload(volume, stream_.get(), 0, data.size(), 0), "virStorageVolDownload");
    stream_.listen(VIR_STREAM_EVENT_READABLE);
  }
}

void Transfer::send() {
  if (done_ == data_.size()) return stream_.finish();
  count(virStreamSend(stream_.get(), data_.data() + done_, std::min(kChunk, data_.size() - done_)));
}

void Transfer::receive() {
  std::array<char, kChunk> buffer;
  const int bytes = virStreamRecv(stream_.get(), buffer.data(), buffer.size());
  if (bytes == 0) {
    if (done_ != data_.size()) fail("download", "it ended too early");
    return stream_.finish();
  }
  if (bytes > 0 && data_.compare(done_, bytes, buffer.data(), bytes) != 0)
    fail("download", "it is not what was uploaded");
  count(bytes);
}

void Transfer::count(int bytes) {
  if (bytes == kWouldBlock) return;
  done_ += must(bytes, "a stream");
  if (done_ >= abort_after_) stream_.abort();
}
