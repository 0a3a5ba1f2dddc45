// SPDX-License-Identifier: LGPL-2.1-or-later
//
// As many watches and timeouts as there are slots: one more is refused in words, and what is given back costs nothing.
#include <fcntl.h>
#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "host.hpp"
#include "pipes.hpp"

namespace {

constexpr std::size_t kSlots = (1 << 20) - 1;  // the index 0 is none

void no_event(int, int, int, void *) {}
void no_timeout(int, void *) {}
void count(void *opaque) { ++*static_cast<std::size_t *>(opaque); }
void no_entry(const virt_uv_entry *, void *) {}

struct Kind {
  const char *limit;
  std::function<int(std::size_t *freed)> add;
  int (*remove)(int id);
};

// Fills every slot, and removes all again. The ids, in ascending order.
std::vector<int> fill_and_empty(const Kind &kind, Host &host) {
  std::size_t freed = 0;
  std::vector<int> ids(kSlots);
  for (int &id : ids) id = kind.add(&freed);
  CHECK(std::count_if(ids.begin(), ids.end(), [](int id) { return id < 1; }) == 0);

  host.lines.clear();
  CHECK(kind.add(&freed) == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, kind.limit) == 1);
  CHECK(virt_uv_walk(no_entry, nullptr) == static_cast<int>(kSlots));

  // One that is freed makes room for one.
  CHECK(kind.remove(ids.back()) == 0);
  CHECK(kind.add(&freed) == -1);
  REQUIRE(host.loop.run_until([&] { return freed == 1; }));
  CHECK((ids.back() = kind.add(&freed)) >= 1);
  CHECK(kind.add(&freed) == -1);
  CHECK(host.lines.count(VIRT_UV_LOG_ERROR, kind.limit) == 3);

  CHECK(std::count_if(ids.begin(), ids.end(), [&](int id) { return kind.remove(id) != 0; }) == 0);
  CHECK(drain(host.loop));
  CHECK(freed == kSlots + 1);
  std::sort(ids.begin(), ids.end());
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  return ids;
}

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

TEST_CASE("with every slot taken add says so, and slots that were given back are reused without new memory") {
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));  // takes no fd
  const Kind kinds[] = {
      {"a million watches are registered, which is the limit",
       [&](std::size_t *freed) { return virt_uv_add_handle(null.get(), 0, no_event, freed, count); },
       virt_uv_remove_handle},
      {"cannot add a timeout: a million timeouts are registered, which is the limit",
       [](std::size_t *freed) { return virt_uv_add_timeout(-1, no_timeout, freed, count); }, virt_uv_remove_timeout}};
  for (const Kind &kind : kinds) {
    INFO(kind.limit);
    Host host;
    REQUIRE(drain(host.loop));  // what attach has added itself
    const std::vector<int> first = fill_and_empty(kind, host);
    const std::size_t before = bytes_in_use();
    const std::vector<int> second = fill_and_empty(kind, host);
    CHECK(bytes_in_use() <= before + sizeof(int) * kSlots + 65536);  // `second`, and what is small
    std::vector<int> both;
    std::set_intersection(first.begin(), first.end(), second.begin(), second.end(), std::back_inserter(both));
    CHECK(both.empty());

    // Nothing is left of them in an iteration, nor in a walk.
    const virt_uv_stats idle = stats();
    CHECK(virt_uv_walk(no_entry, nullptr) == 0);
    CHECK(idle.watches + idle.timeouts + idle.frees_pending == 0);
    const int keeps = virt_uv_add_timeout(-1, no_timeout, nullptr, nullptr);
    CHECK(host.loop.comes_to_sleep());
    CHECK(virt_uv_remove_timeout(keeps) == 0);
    CHECK(drain(host.loop));
  }
}
