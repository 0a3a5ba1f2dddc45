// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "window.hpp"

namespace virt_uv::bench {

namespace {

constexpr const char *kLockFile = "/tmp/virt-uv-libvirtd.lock";
constexpr double kStartSeconds = 30;
constexpr double kEndSeconds = 10;
constexpr std::chrono::milliseconds kConnectPoll(20);

int take_lock() {
  int fd = open(kLockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || flock(fd, LOCK_EX) < 0) throw std::system_error(errno, std::generic_category(), kLockFile);
  return fd;
}

std::string make_folder() {
  char path[] = "/tmp/virt-uv-bench-XXXXXX";
  if (!mkdtemp(path)) throw std::system_error(errno, std::generic_category(), "mkdtemp in /tmp");
  return path;
}

bool answers(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "socket");
  bool ret = connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
  close(fd);
  return ret;
}

}  // namespace

Daemon::Daemon() {
  if (geteuid() != 0) throw std::runtime_error("a private libvirtd has to be started by root");
  lock_ = take_lock();
  folder_ = make_folder();
  write_config();
  start();
  wait_until_ready();
}

// The limits are for 500 connections at a time and for the next 500 while those of the last run are still being closed;
// its own keepalive is off, so that an idle connection stays idle.
void Daemon::write_config() const {
  std::ofstream config(folder_ + "/libvirtd.conf");
  config << "unix_sock_dir = \"" << folder_ << "\"\n"
         << "auth_unix_rw = \"none\"\n"
         << "listen_tls = 0\n"
         << "listen_tcp = 0\n"
         << "max_clients = 2000\n"
         << "max_queued_clients = 2000\n"
         << "max_anonymous_clients = 2000\n"
         << "max_client_requests = 20\n"
         << "keepalive_interval = -1\n"
         << "log_outputs = \"3:file:" << folder_ << "/libvirtd.log\"\n";
  if (!config.flush()) throw std::runtime_error("cannot write " + folder_ + "/libvirtd.conf");
}

// The test driver is part of libvirt itself. An empty folder of drivers keeps QEMU's and the others, which need users,
// D-Bus and more, from being started.
void Daemon::start() {
  process_ =
      std::make_unique<Process>(std::vector<std::string>{"env", "LIBVIRT_DRIVER_DIR=" + folder_, "libvirtd", "-f",
                                                         folder_ + "/libvirtd.conf", "-p", folder_ + "/libvirtd.pid"});
}

void Daemon::wait_until_ready() {
  for (double end = now() + kStartSeconds; !answers(socket()); std::this_thread::sleep_for(kConnectPoll)) {
    if (!process_->running()) throw std::runtime_error("libvirtd ended at once: see " + folder_ + "/libvirtd.log");
    if (now() > end) throw std::runtime_error("libvirtd did not listen in time: see " + folder_ + "/libvirtd.log");
  }
}

Daemon::~Daemon() {
  process_->terminate(kEndSeconds);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  close(lock_);
}

std::string Daemon::uri() const { return "test+unix:///default?socket=" + socket(); }

}  // namespace virt_uv::bench
