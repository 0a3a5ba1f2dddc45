// SPDX-License-Identifier: LGPL-2.1-or-later
#include "event_rounds.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "window.hpp"
#include "workers.hpp"

namespace virt_uv::bench {

namespace {

constexpr size_t kWarmUpRounds = 3;
constexpr size_t kFewestRounds = 5;

class Runner {
 public:
  Runner(Loop &loop, size_t listeners, const Plan &plan) : loop_(loop), listeners_(listeners), plan_(plan) {}

  void trigger() {
    if (write(plan_.trigger_input, "!", 1) != 1)
      throw std::system_error(errno, std::generic_category(), "write to the trigger");
  }

  void on_event() {
    if (++events_ < listeners_) return;
    events_ = 0;
    double took = loop_.event_time() - triggered_at();
    if (warm_up_ == 0) {
      samples_us_.push_back(took * 1e6);
    } else if (--warm_up_ == 0) {
      started_ = now();
      cpu_ = cpu_seconds();
    }
    if (samples_us_.size() < kFewestRounds || now() - started_ < plan_.seconds) return trigger();
    cpu_ = cpu_seconds() - cpu_;
    loop_.stop();
  }

  EventRounds result() {
    std::sort(samples_us_.begin(), samples_us_.end());
    double events = static_cast<double>(samples_us_.size() * listeners_);
    return {std::move(samples_us_), cpu_ * 1e6 / events};
  }

 private:
  double triggered_at() const {
    double ret;
    if (read(plan_.trigger_output, &ret, sizeof ret) != sizeof ret) throw std::runtime_error("the trigger has ended");
    return ret;
  }

  Loop &loop_;
  size_t listeners_;
  const Plan &plan_;
  std::vector<double> samples_us_;
  size_t events_ = 0;
  size_t warm_up_ = kWarmUpRounds;
  double started_ = 0;
  double cpu_ = 0;
};

int on_lifecycle(virConnectPtr, virDomainPtr, int, int, void *opaque) {
  static_cast<Runner *>(opaque)->on_event();
  return 0;
}

}  // namespace

double EventRounds::quantile(double share) const {
  return sorted_us[static_cast<size_t>(share * static_cast<double>(sorted_us.size() - 1))];
}

EventRounds measure_event_rounds(Loop &loop, std::vector<Connection> &listeners, const Plan &plan) {
  Runner runner(loop, listeners.size(), plan);
  for (Connection &listener : listeners) listener.register_lifecycle(on_lifecycle, &runner);
  runner.trigger();
  loop.run();
  return runner.result();
}

}  // namespace virt_uv::bench
