// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "window.hpp"

namespace virt_uv::bench {

namespace {

constexpr std::chrono::milliseconds kReapPoll(5);

[[noreturn]] void fail_errno(const std::string &what) { throw std::system_error(errno, std::generic_category(), what); }

struct Pipe {
  int ends[2];
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) < 0) fail_errno("pipe2");
  }
};

// After fork: nothing but calls that are safe there.
[[noreturn]] void become(char *const *argv, int in, int out) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  execvp(argv[0], argv);
  _exit(127);
}

}  // namespace

Process::Process(std::vector<std::string> argv) : name_(argv.at(0)) {
  std::vector<char *> args;
  for (std::string &arg : argv) args.push_back(arg.data());
  args.push_back(nullptr);
  Pipe in, out;
  pid_ = fork();
  if (pid_ < 0) fail_errno("fork");
  if (pid_ == 0) become(args.data(), in.ends[0], out.ends[1]);
  close(in.ends[0]);
  close(out.ends[1]);
  in_ = in.ends[1];
  out_ = out.ends[0];
}

Process::Process(Process &&other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      in_(std::exchange(other.in_, -1)),
      out_(std::exchange(other.out_, -1)),
      status_(other.status_) {}

Process::~Process() {
  terminate(0);
  if (in_ >= 0) close(in_);
  if (out_ >= 0) close(out_);
}

bool Process::running() {
  if (pid_ < 0) return false;
  if (waitpid(pid_, &status_, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

bool Process::exited_within(double limit_seconds) {
  for (double end = now() + limit_seconds; running(); std::this_thread::sleep_for(kReapPoll))
    if (now() >= end) return false;
  return true;
}

void Process::terminate(double limit_seconds) {
  if (!running()) return;
  kill(pid_, SIGTERM);
  if (exited_within(limit_seconds)) return;
  kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, -1), &status_, 0);
}

std::string Process::output(double limit_seconds) {
  std::string ret;
  double end = now() + limit_seconds;
  for (char buffer[4096];;) {
    pollfd wait{out_, POLLIN, 0};
    double left = end - now();
    if (left <= 0 || poll(&wait, 1, static_cast<int>(left * 1000) + 1) == 0)
      throw std::runtime_error(name_ + " did not end within " + std::to_string(static_cast<int>(limit_seconds)) + " s");
    ssize_t got = read(out_, buffer, sizeof buffer);
    if (got < 0 && errno != EINTR) fail_errno("read from " + name_);
    if (got == 0) break;
    if (got > 0) ret.append(buffer, static_cast<size_t>(got));
  }
  if (!exited_within(end - now())) throw std::runtime_error(name_ + " closed its output and did not end");
  if (WIFEXITED(status_) && WEXITSTATUS(status_) == 127)
    throw std::runtime_error("cannot run " + name_ + ": is it installed?");
  if (status_ != 0) throw std::runtime_error(name_ + " failed (wait status " + std::to_string(status_) + ")");
  return ret;
}

std::string own_program() {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) fail_errno("/proc/self/exe");
  return std::string(path, static_cast<size_t>(length));
}

void print_figures(const Results &results) {
  printf("%s\n", nlohmann::json(results).dump().c_str());
  fflush(stdout);
}

Results figures_of(const std::string &output) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] == '{') return nlohmann::json::parse(line).get<Results>();
  throw std::runtime_error("a run printed no figures");
}

}  // namespace virt_uv::bench
