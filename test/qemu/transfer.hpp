// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An upload to a storage volume, or a download from one, that is aborted on the way or goes to its end.
#pragma once

#include <string>

#include "stream.hpp"

enum class Direction { kUpload, kDownload };

class Transfer {
 public:
  // `data` is what the volume is to hold, or holds. The stream is aborted once `abort_after` bytes have gone over it;
  // where that is more than there are, it ends in good order, and has carried each byte.
  Transfer(virStorageVolPtr volume, Direction direction, const std::string &data, std::size_t abort_after);

  bool ended() const { return stream_.ended(); }

 private:
  void send();
  void receive();
  void count(int bytes);

  const std::string &data_;
  const std::size_t abort_after_;
  std::size_t done_ = 0;
  Stream stream_;
};
