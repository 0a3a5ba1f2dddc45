// SPDX-License-Identifier: LGPL-2.1-or-later
#include "window.hpp"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <cerrno>
#include <system_error>

namespace virt_uv::bench {

namespace {

constexpr double kWarmUpShare = 0.2;

void set_alarm(double seconds) {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(seconds);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - static_cast<double>(timer.it_value.tv_sec)) * 1e6);
  if (setitimer(ITIMER_REAL, &timer, nullptr) < 0) throw std::system_error(errno, std::generic_category(), "setitimer");
}

double seconds_of(clockid_t clock) {
  timespec ts;
  clock_gettime(clock, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) * 1e-9;
}

}  // namespace

std::atomic<bool> Window::due_{false};

Window::Window(Loop &loop, const Plan &plan)
    : loop_(loop), seconds_(plan.seconds), counted_(plan.iterations > 0), iterations_left_(plan.iterations) {
  due_.store(counted_, std::memory_order_relaxed);
  if (counted_) return;
  struct sigaction action {};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  if (sigaction(SIGALRM, &action, nullptr) < 0) throw std::system_error(errno, std::generic_category(), "sigaction");
  set_alarm(seconds_ * kWarmUpShare);
}

void Window::on_alarm(int) { due_.store(true, std::memory_order_relaxed); }

bool Window::mark(uint64_t done) {
  if (!started_ && !loop_.polls_all()) return true;
  if (warm_up_iterations_ > 0) return --warm_up_iterations_, true;
  if (started_ && counted_ && --iterations_left_ > 0) return true;
  Mark mark{seconds_of(CLOCK_THREAD_CPUTIME_ID), done};
  if (started_) return finish(mark);
  started_ = true;
  start_ = mark;
  due_.store(counted_, std::memory_order_relaxed);
  if (!counted_) set_alarm(seconds_);
  return true;
}

bool Window::finish(const Mark &end) {
  due_.store(false, std::memory_order_relaxed);
  end_ = end;
  loop_.stop();
  return false;
}

double Window::rate() const {
  return static_cast<double>(end_.done - start_.done) / (end_.cpu_seconds - start_.cpu_seconds);
}

double now() { return seconds_of(CLOCK_MONOTONIC); }

}  // namespace virt_uv::bench
