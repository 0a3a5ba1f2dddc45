// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host.hpp"

#include <libvirt/virterror.h>
#include <virt-uv/virt-uv.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <tuple>

void fail(const char *what, const char *why) {
  std::fprintf(stderr, "streams: %s: %s\n", what, why);
  std::_Exit(1);
}

int must(int result, const char *what) {
  if (result < 0) fail(what, virGetLastErrorMessage());
  return result;
}

void must_uv(int result, const char *what) {
  if (result < 0) fail(what, uv_strerror(result));
}

Held Held::now() {
  virt_uv_stats stats = VIRT_UV_STATS_INIT;
  must_uv(virt_uv_get_stats(&stats), "virt_uv_get_stats");
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return {stats.watches, stats.timeouts, stats.frees_pending,
          static_cast<std::size_t>(std::distance(begin(fds), end(fds)))};
}

bool Held::operator==(const Held &other) const {
  return std::tie(watches, timeouts, frees_pending, fds) ==
         std::tie(other.watches, other.timeouts, other.frees_pending, other.fds);
}

Host::Host(const char *uri) {
  must_uv(uv_loop_init(&loop_), "uv_loop_init");
  must_uv(virt_uv_attach(&loop_, nullptr), "virt_uv_attach");
  // With the first connection, libvirt and its libraries open what they keep.
  open(uri);
  close();
  before_ = Held::now();
  open(uri);
  idle_ = Held::now();
}

Host::~Host() {
  expect_held(idle_);
  close();
  expect_held(before_);
  must_uv(virt_uv_detach(nullptr, nullptr), "virt_uv_detach");
  uv_run(&loop_, UV_RUN_DEFAULT);
  must_uv(uv_loop_close(&loop_), "uv_loop_close");
}

void Host::run_until(const std::function<bool()> &done) {
  while (!done()) uv_run(&loop_, UV_RUN_ONCE);
}

void Host::open(const char *uri) {
  connection_ = virConnectOpen(uri);
  if (connection_ == nullptr) fail(uri, virGetLastErrorMessage());
  run_until([] { return Held::now().frees_pending == 0; });
}

void Host::close() {
  if (must(virConnectClose(connection_), "virConnectClose") != 0)
    fail("the connection", "something refers to it still");
  run_until([] { return Held::now().watches == 0 && Held::now().frees_pending == 0; });
}

void Host::expect_held(const Held &held) {
  constexpr int kIterations = 1000;
  for (int i = 0; i < kIterations && !(Held::now() == held); i++) uv_run(&loop_, UV_RUN_NOWAIT);
  const Held now = Held::now();
  if (now == held) return;
  std::fprintf(stderr,
               "watches %" PRIu64 " -> %" PRIu64 ", timeouts %" PRIu64 " -> %" PRIu64 ", frees %" PRIu64 " -> %" PRIu64
               ", fds %zu -> %zu\n",
               held.watches, now.watches, held.timeouts, now.timeouts, held.frees_pending, now.frees_pending, held.fds,
               now.fds);
  fail("the end", "this was left behind");
}
