/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A prompt and libvirt's events in one loop, on one thread. `suspend NAME` and `resume NAME` act on a domain. What
 * happens to domains is printed, whatever caused it. The program ends at the end of its input.
 *
 *     c++ -std=c++17 stdin-and-events.cpp -o stdin-and-events $(pkg-config --cflags --libs virt-uv)
 *     ./stdin-and-events test:///default
 */
#include <unistd.h>

#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

#include <libvirt/virterror.h>

#include <virt-uv/adapter.hpp>

namespace {

struct Close {
  void operator()(virConnectPtr connection) const { virConnectClose(connection); }
  void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};

class Prompt {
 public:
  explicit Prompt(const char *uri) : connection_(virConnectOpen(uri)) {
    if (!connection_) throw std::runtime_error(virGetLastErrorMessage());
    callback_ = virConnectDomainEventRegisterAny(connection_.get(), nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                 VIR_DOMAIN_EVENT_CALLBACK(on_event), nullptr, nullptr);
    if (callback_ < 0) throw std::runtime_error(virGetLastErrorMessage());
  }
  ~Prompt() {
    if (callback_ >= 0) virConnectDomainEventDeregisterAny(connection_.get(), callback_);
  }

  /* Reads the input that is available and obeys each complete line. Returns false at the end of the input. */
  bool read_input() {
    char bytes[512];
    const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
    if (count > 0) pending_.append(bytes, static_cast<std::size_t>(count));
    for (std::size_t end; (end = pending_.find('\n')) != std::string::npos; pending_.erase(0, end + 1))
      obey(pending_.substr(0, end));
    return count > 0;
  }

 private:
  void obey(const std::string &line) {
    std::string verb, name;
    std::istringstream(line) >> verb >> name;
    if (verb != "suspend" && verb != "resume") {
      std::cerr << "say: suspend NAME, or resume NAME\n";
      return;
    }
    const std::unique_ptr<virDomain, Close> domain(virDomainLookupByName(connection_.get(), name.c_str()));
    if (domain) (verb == "suspend" ? virDomainSuspend : virDomainResume)(domain.get()); /* libvirt prints what fails */
  }

  static int on_event(virConnectPtr, virDomainPtr domain, int event, int, void *) {
    const char *what = event == VIR_DOMAIN_EVENT_SUSPENDED ? "suspended"
                       : event == VIR_DOMAIN_EVENT_RESUMED ? "resumed"
                                                           : "changed";
    std::cout << virDomainGetName(domain) << ": " << what << std::endl;
    return 0;
  }

  std::unique_ptr<virConnect, Close> connection_;
  std::string pending_;
  int callback_ = -1;
};

}  // namespace

int main(int argc, char **argv) try {
  uv_loop_t *loop = uv_default_loop();
  virt_uv::Adapter adapter(loop);  // before the first connection
  auto prompt = std::make_unique<Prompt>(argc > 1 ? argv[1] : nullptr);

  virt_uv::Watch input(STDIN_FILENO, virt_uv::handle_event::readable, [&](int, int, virt_uv::handle_event) {
    if (prompt->read_input()) return;
    input.remove();
    prompt.reset();
    adapter.drain([&] { adapter.detach([] {}); });  // the loop closes the connection's socket
  });
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
} catch (const std::exception &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
