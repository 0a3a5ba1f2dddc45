// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Two threads attach loops of their own at once: one of them is refused, and that changes nothing for the other.
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "host.hpp"
#include "scale.hpp"

namespace {

constexpr int kThreads = 2;

// What one thread attaches.
struct Contender {
  Loop loop;
  Lines lines;
  int result = 1;

  void attach(std::atomic<int> &waiting) {
    const virt_uv_options options = logging_to(lines);
    --waiting;
    while (waiting > 0) continue;  // then both begin at once
    result = virt_uv_attach(loop.get(), &options);
  }
};

}  // namespace

TEST_CASE("of two threads that attach at once one is refused, and the other's log function stays") {
  const std::uint64_t rounds = scaled(300);
  std::array<std::uint64_t, kThreads> wins{};
  std::uint64_t refused_early = 0, refused_late = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::array<Contender, kThreads> contenders;
    std::atomic<int> waiting{kThreads};
    std::thread second([&] { contenders[1].attach(waiting); });
    contenders[0].attach(waiting);
    second.join();

    const std::size_t winner = contenders[0].result == 0 ? 0 : 1;
    Contender &won = contenders[winner], &lost = contenders[1 - winner];
    REQUIRE(won.result == 0);
    REQUIRE(lost.result == UV_EBUSY);
    ++wins[winner];
    CHECK(virt_uv_loop() == won.loop.get());
    const int early = lost.lines.count(VIRT_UV_LOG_ERROR, "a detach or another attach has not finished");
    const int late = lost.lines.count(VIRT_UV_LOG_ERROR, "another loop is attached");
    CHECK(early + late == 1);
    (early != 0 ? refused_early : refused_late) += 1;
    CHECK(lost.lines.count(VIRT_UV_LOG_INFO, "") == 0);
    CHECK(won.lines.count(VIRT_UV_LOG_INFO, "attached") == 1);

    won.lines.clear();
    lost.lines.clear();
    CHECK(virt_uv_add_timeout(0, nullptr, nullptr, nullptr) == -1);
    CHECK(won.lines.count(VIRT_UV_LOG_ERROR, "the callback is NULL") == 1);
    CHECK(lost.lines.count(VIRT_UV_LOG_ERROR, "") == 0);
    REQUIRE(detach(won.loop));
  }
  WARN(wins[0] << " and " << wins[1] << " times attached; the other was refused " << refused_early
               << " times while the attach went on, " << refused_late << " times after it");
}

TEST_CASE("of threads that race for the library one at a time has it, and the others are refused") {
  const auto number = static_cast<int>(scaled(2000));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      uv_loop_t loop;
      uv_loop_init(&loop);
      virt_uv_options options = VIRT_UV_OPTIONS_INIT;
      options.log = [](virt_uv_log_level, const char *, void *) {};
      for (int done = 0; done < number;) {
        const int error = virt_uv_attach(&loop, &options);
        if (error == UV_EBUSY) continue;
        if (error != 0 || virt_uv_detach(nullptr, nullptr) != 0) ++wrong;
        uv_run(&loop, UV_RUN_DEFAULT);
        ++done;
      }
      if (uv_loop_close(&loop) != 0) ++wrong;
    });
  for (std::thread &thread : threads) thread.join();
  CHECK(wrong == 0);
}
