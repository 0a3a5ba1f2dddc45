/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An open fd that is written to from the loop and never blocks it. What kind it is decides how: pipes, sockets and
 * terminals through libuv, files (and devices that are no terminals) by a thread, since a file cannot be written
 * without waiting, and one on a dead server waits for ever. */
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

namespace events {

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /* Writes everything, then calls `done` in the loop with 0 or a libuv error. One at a time. */
  virtual void write(std::string bytes, std::function<void(int)> done) = 0;

  /* How much of what is being written has not been written yet. */
  virtual std::size_t pending_bytes() const = 0;

  /* Closes the handles; a write that has not ended is given up, and its `done` called before `closed`, or never. */
  virtual void close(std::function<void()> closed) = 0;

  /* Gives the fd back as it was: for a process that ends without close(). */
  virtual void restore() {}
};

/* `ret` is set when it returns 0; otherwise libuv's error is returned. `fd` stays the caller's. */
int open_byte_stream(uv_loop_t *loop, int fd, std::unique_ptr<ByteStream> &ret);

}  // namespace events
