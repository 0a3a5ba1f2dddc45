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

std::atomic<bool> Window::alarm_rang_{false};

Window::Window(Loop &loop, double seconds) : loop_(loop), seconds_(seconds) {
  struct sigaction action {};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  if (sigaction(SIGALRM, &action, nullptr) < 0) throw std::system_error(errno, std::generic_category(), "sigaction");
  set_alarm(seconds * kWarmUpShare);
}

void Window::on_alarm(int) { alarm_rang_.store(true, std::memory_order_relaxed); }

void Window::mark(uint64_t done) {
  alarm_rang_.store(false, std::memory_order_relaxed);
  if (warm_) {
    end_ = {seconds_of(CLOCK_THREAD_CPUTIME_ID), done};
    loop_.stop();
    return;
  }
  warm_ = true;
  start_ = {seconds_of(CLOCK_THREAD_CPUTIME_ID), done};
  set_alarm(seconds_);
}

double Window::rate() const { return static_cast<double>(done()) / (end_.cpu_seconds - start_.cpu_seconds); }

double now() { return seconds_of(CLOCK_MONOTONIC); }

}  // namespace virt_uv::bench
