/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fd_limit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

namespace events {
namespace {

/* Measured (doc/many-hosts.md). The program itself, with its loop, libvirt's initialisation, the output, and a little
 * for what is open for a moment only. */
constexpr rlim_t kOwnFds = 32;
/* The socket, the library's duplicate of it, and the eventfd of GLib's main context in which libvirt waits for a reply.
 */
constexpr rlim_t kFdsPerSocket = 3;
/* And the standard error of ssh, or what libssh and libssh2 have. */
constexpr rlim_t kFdsPerTunnel = 4;

bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

/* "DRIVER+TRANSPORT://...": some drivers, of which "test" is one, run inside the process. */
rlim_t fds_of(const std::string &uri) {
  std::string scheme = uri.substr(0, uri.find(':'));
  if (has(scheme, "+ssh") || has(scheme, "+libssh") || has(scheme, "+ext")) return kFdsPerTunnel;
  return scheme == "test" ? 0 : kFdsPerSocket;
}

rlim_t raise_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return RLIM_INFINITY;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace

void fill_standard_fds() {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) == -1) open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

std::string make_room_for(const std::vector<std::string> &uris) {
  rlim_t limit = raise_limit(), needed = kOwnFds;
  std::size_t fitting = 0;
  for (const std::string &uri : uris) {
    needed += fds_of(uri);
    if (needed <= limit) ++fitting;
  }
  if (needed <= limit) return "";
  return fmt::format(
      "{} connections need {} open files, and the limit is {}: {} of them fit; raise the limit (ulimit -Hn, or "
      "LimitNOFILE= in the unit)",
      uris.size(), needed, limit, fitting);
}

}  // namespace events
