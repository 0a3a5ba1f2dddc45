/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Surroundings that are hard to come by, preloaded (LD_PRELOAD) into virt-uv-events:
 *
 *   VIRT_UV_STUCK_FD=N      write(2) to fd N never returns, as for a file on a server that is dead
 *   VIRT_UV_CLOCK=SECONDS   the wall clock stands at SECONDS (of the epoch, possibly negative) and three quarters
 *   VIRT_UV_LIBVIRT=NUMBER  libvirt says that it is this version
 *   VIRT_UV_NO_DUPLICATES=FILE  while FILE is there, no fd can be duplicated: none is free
 *   VIRT_UV_SLOW_LIST=FILE  the domains' states, once they are read, are returned when FILE has gone; FILE.read says
 * that they are read */
#include <dlfcn.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <ctime>
#include <string>

namespace {

template <typename Function>
Function *real(const char *name) {
  return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void *bytes, size_t size) {
  const char *stuck = std::getenv("VIRT_UV_STUCK_FD");
  while (stuck != nullptr && std::atoi(stuck) == fd) pause();
  static auto *real_write = real<ssize_t(int, const void *, size_t)>("write");
  return real_write(fd, bytes, size);
}

/* As the library calls it: built with _FILE_OFFSET_BITS=64. */
int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *); /* an int is passed in the same way */
  va_end(arguments);
  const char *file = std::getenv("VIRT_UV_NO_DUPLICATES");
  if (command == F_DUPFD_CLOEXEC && file != nullptr && access(file, F_OK) == 0) {
    errno = EMFILE;
    return -1;
  }
  static auto *real_fcntl = real<int(int, int, ...)>("fcntl64");
  return real_fcntl(fd, command, argument);
}

int virConnectGetAllDomainStats(virConnectPtr connection, unsigned stats, virDomainStatsRecordPtr **ret,
                                unsigned flags) {
  static auto *real_stats = real<decltype(virConnectGetAllDomainStats)>("virConnectGetAllDomainStats");
  const int result = real_stats(connection, stats, ret, flags);
  if (const char *file = std::getenv("VIRT_UV_SLOW_LIST")) {
    close(creat((std::string(file) + ".read").c_str(), 0600));
    while (access(file, F_OK) == 0) usleep(1000);
  }
  return result;
}

int virGetVersion(unsigned long *ret, const char *type, unsigned long *type_version) {
  const char *number = std::getenv("VIRT_UV_LIBVIRT");
  static auto *real_version = real<int(unsigned long *, const char *, unsigned long *)>("virGetVersion");
  int result = real_version(ret, type, type_version);
  if (number != nullptr) *ret = std::strtoul(number, nullptr, 10);
  return result;
}

int clock_gettime(clockid_t clock, timespec *ret) {
  const char *seconds = std::getenv("VIRT_UV_CLOCK");
  static auto *real_clock_gettime = real<int(clockid_t, timespec *)>("clock_gettime");
  if (clock != CLOCK_REALTIME || seconds == nullptr) return real_clock_gettime(clock, ret);
  *ret = {std::atol(seconds), 750000000};
  return 0;
}
}
