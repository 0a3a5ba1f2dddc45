// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The most watches and timeouts that there can be: the index of a slot has twenty bits, and index 0 is not used.
#include <fcntl.h>

#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

constexpr std::size_t kLimit = (1u << 20) - 1;

void no_event(int, int, int, void *) {}
void no_timeout(int, void *) {}
void count_free(void *opaque) { ++*static_cast<std::size_t *>(opaque); }

// Adds until one is refused.
template <typename Add>
std::vector<int> fill(Add add) {
  std::vector<int> ids;
  for (int id = add(); id != -1; id = add()) ids.push_back(id);
  return ids;
}

int walked() {
  std::size_t entries = 0;
  const int result = virt_uv_walk([](const virt_uv_entry *, void *opaque) { count_free(opaque); }, &entries);
  CHECK(static_cast<std::size_t>(result) == entries);
  return result;
}

}  // namespace

TEST_CASE("a million watches and timeouts can be registered, one more is refused in words, and all slots come back") {
  Host host;
  REQUIRE(drain(host.loop));                            // attach registers a timeout with libvirt for a moment
  const Fd directory(open("/", O_RDONLY | O_CLOEXEC));  // needs no duplicate, so no limit of fds is met
  std::size_t freed = 0;
  const auto add_watch = [&] { return virt_uv_add_handle(directory.get(), 0, no_event, &freed, count_free); };
  const auto add_timeout = [&] { return virt_uv_add_timeout(-1, no_timeout, &freed, count_free); };
  for (int round = 1; round <= 2; ++round) {
    freed = 0;
    const std::vector<int> watches = fill(add_watch), timeouts = fill(add_timeout);
    CHECK(watches.size() == kLimit);
    CHECK(timeouts.size() == kLimit);
    CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "a million watches are registered, which is the limit") == round);
    CHECK(host.lines.count(VIRT_UV_LOG_ERROR, "a million timeouts are registered, which is the limit") == round);
    CHECK(static_cast<std::size_t>(walked()) == 2 * kLimit);
    int refused = 0;
    for (const int id : watches) refused += virt_uv_remove_handle(id) != 0;
    for (const int id : timeouts) refused += virt_uv_remove_timeout(id) != 0;
    CHECK(refused == 0);
    CHECK(drain(host.loop));
    CHECK(freed == 2 * kLimit);
    CHECK(walked() == 0);
  }
}
