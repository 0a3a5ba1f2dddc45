// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rounds.hpp"

#include <algorithm>

#include "crew.hpp"
#include "trigger.hpp"
#include "window.hpp"

namespace virt_uv::bench {

namespace {

constexpr size_t kWarmUpRounds = 3;
constexpr size_t kFewestRounds = 5;

class Runner {
 public:
  Runner(Loop &loop, size_t told, const Plan &plan)
      : loop_(loop), told_(told), seconds_(plan.seconds), trigger_(plan.uri) {}

  void begin() { trigger_.fire(); }

  void on_event() {
    if (++heard_ < told_) return;
    heard_ = 0;
    double took = now() - trigger_.fired_at();
    if (warm_up_ > 0)
      warm_up(--warm_up_);
    else
      samples_us_.push_back(took * 1e6);
    if (!over()) return trigger_.fire();
    cpu_ = cpu_seconds() - cpu_;
    loop_.stop();
  }

  Rounds result() {
    std::sort(samples_us_.begin(), samples_us_.end());
    double events = static_cast<double>(samples_us_.size() * told_);
    return {std::move(samples_us_), cpu_ * 1e6 / events};
  }

 private:
  void warm_up(size_t left) {
    if (left > 0) return;
    started_ = now();
    cpu_ = cpu_seconds();
  }

  bool over() const { return samples_us_.size() >= kFewestRounds && now() - started_ >= seconds_; }

  Loop &loop_;
  size_t told_;
  double seconds_;
  Trigger trigger_;
  std::vector<double> samples_us_;
  size_t heard_ = 0;
  size_t warm_up_ = kWarmUpRounds;
  double started_ = 0;
  double cpu_ = 0;
};

int on_lifecycle(virConnectPtr, virDomainPtr, int, int, void *opaque) {
  static_cast<Runner *>(opaque)->on_event();
  return 0;
}

}  // namespace

double Rounds::quantile(double share) const {
  return sorted_us[static_cast<size_t>(share * static_cast<double>(sorted_us.size() - 1))];
}

Rounds measure_rounds(Loop &loop, std::vector<Connection> &told, const Plan &plan) {
  Runner runner(loop, told.size(), plan);
  for (Connection &connection : told) connection.on_lifecycle(on_lifecycle, &runner);
  runner.begin();
  loop.run();
  return runner.result();
}

}  // namespace virt_uv::bench
