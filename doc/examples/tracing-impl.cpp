/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An event loop implementation of your own: TracingImpl prints each call that libvirt makes, and passes it on to
 * virt-uv. To give libvirt another loop altogether, override the same six functions, store what they are passed, and
 * call back through run_handle_callback, run_timeout_callback and free_callback_opaque.
 *
 *     c++ -std=c++17 tracing-impl.cpp -o tracing-impl $(pkg-config --cflags --libs virt-uv) && ./tracing-impl
 */
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>

#include <libvirt/virterror.h>

#include <virt-uv/adapter.hpp>

namespace {

class TracingImpl final : public virt_uv::EventImpl {
 public:
  int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff) override {
    const int watch = loop_.add_handle(fd, events, cb, opaque, ff);
    say("watch ", watch, " on fd ", fd, " for events ", events);
    return watch;
  }
  void update_handle(int watch, int events) override {
    say("watch ", watch, " for events ", events);
    loop_.update_handle(watch, events);
  }
  int remove_handle(int watch) override {
    say("watch ", watch, " removed");
    return loop_.remove_handle(watch);
  }
  int add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff) override {
    const int timer = loop_.add_timeout(frequency, cb, opaque, ff);
    say("timeout ", timer, " every ", frequency, " ms");
    return timer;
  }
  void update_timeout(int timer, int frequency) override {
    say("timeout ", timer, " every ", frequency, " ms");
    loop_.update_timeout(timer, frequency);
  }
  int remove_timeout(int timer) override {
    say("timeout ", timer, " removed");
    return loop_.remove_timeout(timer);
  }

 private:
  /* Any thread, as libvirt calls from any thread. */
  template <typename... Words>
  void say(const Words &...words) {
    const std::lock_guard<std::mutex> lock(mutex_);
    (std::cout << ... << words) << std::endl;
  }

  std::mutex mutex_;
  virt_uv::UvEventImpl &loop_ = virt_uv::UvEventImpl::instance();
};

struct Close {
  void operator()(virConnectPtr connection) const { virConnectClose(connection); }
  void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};

/* Causes an event of libvirt's built-in test driver. */
class Demo {
 public:
  explicit Demo(virt_uv::Adapter &adapter) : adapter_(adapter), connection_(virConnectOpen("test:///default")) {
    if (!connection_) throw std::runtime_error(virGetLastErrorMessage());
    callback_ = virConnectDomainEventRegisterAny(connection_.get(), nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                 VIR_DOMAIN_EVENT_CALLBACK(on_event), this, nullptr);
    if (callback_ < 0) throw std::runtime_error(virGetLastErrorMessage());
    const std::unique_ptr<virDomain, Close> domain(virDomainLookupByName(connection_.get(), "test"));
    if (!domain || virDomainSuspend(domain.get()) < 0) throw std::runtime_error(virGetLastErrorMessage());
  }

 private:
  static int on_event(virConnectPtr, virDomainPtr domain, int, int, void *opaque) {
    std::cout << "the event came: domain " << virDomainGetName(domain) << std::endl;
    static_cast<Demo *>(opaque)->end();
    return 0;
  }
  void end() {
    virConnectDomainEventDeregisterAny(connection_.get(), callback_);
    connection_.reset();
    adapter_.drain([this] { adapter_.detach([] {}); });
  }

  virt_uv::Adapter &adapter_;
  std::unique_ptr<virConnect, Close> connection_;
  int callback_ = -1;
};

}  // namespace

int main() try {
  static TracingImpl &tracing = *new TracingImpl;  // libvirt uses it until the process ends
  virt_uv::register_impl(tracing);                 // before anything is attached or connected

  uv_loop_t *loop = uv_default_loop();
  virt_uv::Adapter adapter(loop);
  const Demo demo(adapter);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
} catch (const std::exception &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
