// SPDX-License-Identifier: LGPL-2.1-or-later
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "event_rounds.hpp"
#include "window.hpp"

namespace virt_uv::bench {

namespace {

class Domain {
 public:
  explicit Domain(virConnectPtr conn) : domain_(virDomainLookupByName(conn, "test")) {
    require(domain_, "the test driver has no domain 'test'");
    int state, reason;
    require(virDomainGetState(domain_, &state, &reason, 0) == 0, "virDomainGetState failed");
    paused_ = state == VIR_DOMAIN_PAUSED;
  }
  ~Domain() { virDomainFree(domain_); }

  void change() {
    require((paused_ ? virDomainResume(domain_) : virDomainSuspend(domain_)) == 0, "the test domain cannot be changed");
    paused_ = !paused_;
  }

 private:
  virDomainPtr domain_;
  bool paused_;
};

}  // namespace

void serve_triggers(const std::string &uri) {
  Connection connection(uri);
  Domain domain(connection.get());
  for (char byte; read(STDIN_FILENO, &byte, 1) == 1;) {
    double time = now();
    if (write(STDOUT_FILENO, &time, sizeof time) != sizeof time)
      throw std::system_error(errno, std::generic_category(), "write of the time");
    domain.change();
  }
}

}  // namespace virt_uv::bench
