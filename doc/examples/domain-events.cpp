/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * domain-events.c in C++: destructors close what was opened, and errors are exceptions.
 *
 *     c++ -std=c++17 domain-events.cpp -o domain-events $(pkg-config --cflags --libs virt-uv)
 */
#include <csignal>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>

#include <libvirt/virterror.h>

#include <virt-uv/adapter.hpp>

namespace {

class Watcher {
 public:
  explicit Watcher(const char *uri) : connection_(virConnectOpen(uri)) {
    if (!connection_) throw std::runtime_error(virGetLastErrorMessage());
    callback_ = virConnectDomainEventRegisterAny(connection_.get(), nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                 VIR_DOMAIN_EVENT_CALLBACK(on_event), nullptr, nullptr);
    if (callback_ < 0) throw std::runtime_error(virGetLastErrorMessage());
  }
  ~Watcher() {
    if (callback_ >= 0) virConnectDomainEventDeregisterAny(connection_.get(), callback_);
  }

 private:
  static int on_event(virConnectPtr, virDomainPtr domain, int event, int detail, void *) {
    static const char *const names[] = {"defined", "undefined", "started",  "suspended",
                                        "resumed", "stopped",   "shut down"};
    const bool known = event >= 0 && event < static_cast<int>(std::size(names));
    std::cout << virDomainGetName(domain) << ": " << (known ? names[event] : "something else") << " (" << detail << ")"
              << std::endl;
    return 0;
  }

  struct Close {
    void operator()(virConnectPtr connection) const { virConnectClose(connection); }
  };
  std::unique_ptr<virConnect, Close> connection_;
  int callback_ = -1;
};

/* Runs `then` at the first SIGINT, and closes its handle. */
class Interrupt {
 public:
  Interrupt(uv_loop_t *loop, std::function<void()> then) : then_(std::move(then)) {
    uv_signal_init(loop, &signal_);
    signal_.data = this;
    uv_signal_start(&signal_, on_signal, SIGINT);
  }

 private:
  static void on_signal(uv_signal_t *signal, int) {
    uv_close(reinterpret_cast<uv_handle_t *>(signal), nullptr);
    static_cast<Interrupt *>(signal->data)->then_();
  }

  uv_signal_t signal_;
  std::function<void()> then_;
};

}  // namespace

int main(int argc, char **argv) try {
  uv_loop_t *loop = uv_default_loop();
  virt_uv::Adapter adapter(loop);  // before the first connection
  auto watcher = std::make_unique<Watcher>(argc > 1 ? argv[1] : nullptr);

  const Interrupt interrupt(loop, [&] {
    watcher.reset();
    adapter.drain([&] { adapter.detach([] {}); });  // the loop closes the connection's socket
  });
  std::cerr << "watching; interrupt to end\n";
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
} catch (const std::exception &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
