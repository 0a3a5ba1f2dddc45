// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A libuv loop with virt-uv attached, run on this thread, and a connection to libvirt in it.
#pragma once

#include <libvirt/libvirt.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>

// Ends the process with a line on stderr.
[[noreturn]] void fail(const char *what, const char *why);

// A call of libvirt's that must succeed.
int must(int result, const char *what);
void must_uv(int result, const char *what);

// What a stream must not leave behind.
struct Held {
  std::uint64_t watches, timeouts, frees_pending;
  std::size_t fds;

  static Held now();
  bool operator==(const Held &other) const;
};

class Host {
 public:
  explicit Host(const char *uri);
  // Fails if more is held than when the connection had been opened; then closes it, and fails if more is held than
  // before.
  ~Host();
  Host(const Host &) = delete;
  Host &operator=(const Host &) = delete;

  virConnectPtr connection() const { return connection_; }
  void run_until(const std::function<bool()> &done);

 private:
  void open(const char *uri);
  void close();
  // Runs the loop, for some iterations at most, until this is held and no more.
  void expect_held(const Held &held);

  uv_loop_t loop_;
  Held before_, idle_;
  virConnectPtr connection_;
};
