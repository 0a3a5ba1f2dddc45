/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints domain events, in the order that the Perl modules' synopsis has: register, connect, attach, run. What is
 * registered before the attach waits for the loop. Events are closures.
 *
 *     c++ -std=c++17 register-connect-attach-run.cpp -o program $(pkg-config --cflags --libs virt-uv)
 */
#include <csignal>
#include <iostream>
#include <iterator>

#include <libvirt/virterror.h>

#include <virt-uv/adapter.hpp>
#include <virt-uv/on_event.hpp>

namespace {

struct Watcher {
  virConnectPtr conn;
  virt_uv::EventRegistration lifecycle;
  virt_uv::EventRegistration reboot;
};

}  // namespace

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t *loop = uv_default_loop();

  virt_uv::register_impl(virt_uv::UvEventImpl::instance());

  Watcher watcher{virConnectOpen(argc > 1 ? argv[1] : nullptr), {}, {}};
  if (watcher.conn == nullptr) {
    std::cerr << virGetLastErrorMessage() << '\n';
    return 1;
  }
  watcher.lifecycle = virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(
      watcher.conn, nullptr, [](virConnectPtr, virDomainPtr domain, int event, int detail) {
        static const char *const names[] = {"defined", "undefined", "started", "suspended", "resumed"};
        const bool known = event >= 0 && event < static_cast<int>(std::size(names));
        std::cout << virDomainGetName(domain) << ": " << (known ? names[event] : "something else") << " (" << detail
                  << ")" << std::endl;
      });
  watcher.reboot = virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_REBOOT>(
      watcher.conn, nullptr,
      [](virConnectPtr, virDomainPtr domain) { std::cout << virDomainGetName(domain) << ": rebooted" << std::endl; });

  virt_uv::Adapter adapter(loop);

  uv_signal_t interrupt;
  auto on_interrupt = [&] {
    watcher.lifecycle.reset();
    watcher.reboot.reset();
    virConnectClose(watcher.conn);
    adapter.drain([&] { adapter.detach(); });  // the loop closes the connection's socket
  };
  interrupt.data = &on_interrupt;
  uv_signal_init(loop, &interrupt);
  uv_signal_start(
      &interrupt,
      [](uv_signal_t *signal, int) {
        uv_close(reinterpret_cast<uv_handle_t *>(signal), nullptr);
        (*static_cast<decltype(on_interrupt) *>(signal->data))();
      },
      SIGINT);
  std::cerr << "watching\n";
  return uv_run(loop, UV_RUN_DEFAULT);
}
