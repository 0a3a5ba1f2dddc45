/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt's events with closures, on libvirt's test driver. */
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <virt-uv/adapter.hpp>
#include <virt-uv/on_event.hpp>

#include "fixtures.hpp"

using virt_uv::Adapter;
using virt_uv::EventRegistration;

namespace {

/* The driver of the test has a domain, a network and a storage pool of its own for each connection's URI. */
class TestDriver {
 public:
  TestDriver() : conn_(virConnectOpen("test:///default")) { REQUIRE(conn_ != nullptr); }
  ~TestDriver() { virConnectClose(conn_); }
  TestDriver(const TestDriver &) = delete;
  TestDriver &operator=(const TestDriver &) = delete;

  virConnectPtr get() const { return conn_; }

  template <typename Act>
  void with_domain(Act &&act) const {
    virDomainPtr domain = virDomainLookupByName(conn_, "test");
    REQUIRE(domain != nullptr);
    act(domain);
    virDomainFree(domain);
  }

 private:
  virConnectPtr conn_;
};

const auto suspend_and_resume = [](virDomainPtr domain) {
  CHECK(virDomainSuspend(domain) == 0);
  CHECK(virDomainResume(domain) == 0);
};

template <int... ids>
std::vector<EventRegistration> every_domain_event(virConnectPtr conn, int &destroyed,
                                                  std::integer_sequence<int, ids...>) {
  std::vector<EventRegistration> all;
  (all.push_back(virt_uv::on_domain_event<ids>(conn, nullptr, [counts = CountsDestruction(destroyed)](auto...) {})),
   ...);
  return all;
}

}  // namespace

TEST_CASE("a closure is called with the arguments of libvirt's callback, in order") {
  UvLoop loop;
  const Adapter adapter(loop.get());
  const TestDriver driver;
  std::vector<int> events;
  const EventRegistration lifecycle = virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(
      driver.get(), nullptr, [&](virConnectPtr conn, virDomainPtr domain, int event, int) {
        CHECK(conn == driver.get());
        CHECK(virDomainGetName(domain) == std::string("test"));
        events.push_back(event);
      });
  driver.with_domain(suspend_and_resume);
  loop.require_until([&] { return events.size() == 2; });
  CHECK(events == std::vector<int>{VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_RESUMED});
}

TEST_CASE("events of networks and storage pools come as well") {
  UvLoop loop;
  const Adapter adapter(loop.get());
  const TestDriver driver;
  std::vector<int> networks;
  int refreshed = 0;
  const auto network_events = virt_uv::on_network_event<VIR_NETWORK_EVENT_ID_LIFECYCLE>(
      driver.get(), nullptr, [&](virConnectPtr, virNetworkPtr, int event, int) { networks.push_back(event); });
  const auto pool_events = virt_uv::on_storage_pool_event<VIR_STORAGE_POOL_EVENT_ID_REFRESH>(
      driver.get(), nullptr, [&](virConnectPtr, virStoragePoolPtr) { ++refreshed; });
  virNetworkPtr network = virNetworkLookupByName(driver.get(), "default");
  CHECK(virNetworkDestroy(network) == 0);
  CHECK(virNetworkCreate(network) == 0);
  virNetworkFree(network);
  virStoragePoolPtr pool = virStoragePoolLookupByName(driver.get(), "default-pool");
  CHECK(virStoragePoolRefresh(pool, 0) == 0);
  virStoragePoolFree(pool);
  loop.require_until([&] { return networks.size() == 2 && refreshed == 1; });
  CHECK(networks == std::vector<int>{VIR_NETWORK_EVENT_STOPPED, VIR_NETWORK_EVENT_STARTED});
}

TEST_CASE("every kind can be registered, and its closure is destroyed once") {
  UvLoop loop;
  const Adapter adapter(loop.get());
  const TestDriver driver;
  int destroyed = 0;
  constexpr int kinds = 25;
  every_domain_event(driver.get(), destroyed, std::make_integer_sequence<int, kinds>()).clear();
  {
    const auto nothing = [&] { return [counts = CountsDestruction(destroyed)](auto...) {}; };
    const auto pools =
        virt_uv::on_storage_pool_event<VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE>(driver.get(), nullptr, nothing());
    const auto devices =
        virt_uv::on_node_device_event<VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE>(driver.get(), nullptr, nothing());
    const auto updates =
        virt_uv::on_node_device_event<VIR_NODE_DEVICE_EVENT_ID_UPDATE>(driver.get(), nullptr, nothing());
  }
  loop.require_until([&] { return destroyed == kinds + 3; });
}

TEST_CASE("what is deregistered is not called any more, whichever object had it") {
  UvLoop loop;
  const Adapter adapter(loop.get());
  const TestDriver driver;
  int first = 0, second = 0;
  EventRegistration moved;
  CHECK_FALSE(moved);
  {
    auto lifecycle =
        virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(driver.get(), nullptr, [&](auto...) { ++first; });
    const auto other =
        virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(driver.get(), nullptr, [&](auto...) { ++second; });
    moved = std::move(lifecycle);
    driver.with_domain(suspend_and_resume);
    loop.require_until([&] { return first == 2 && second == 2; });
  }
  CHECK(moved);
  driver.with_domain(suspend_and_resume);
  loop.require_until([&] { return first == 4; });
  moved.reset();
  CHECK_FALSE(moved);
  CHECK(second == 2);
}

TEST_CASE("an exception in a closure is counted, and the next event comes") {
  UvLoop loop;
  const Adapter adapter(loop.get());
  const TestDriver driver;
  virt_uv_stats before = VIRT_UV_STATS_INIT, after = VIRT_UV_STATS_INIT;
  virt_uv_get_stats(&before);
  int calls = 0;
  const auto lifecycle = virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(driver.get(), nullptr, [&](auto...) {
    if (++calls == 1) throw std::runtime_error("the first");
  });
  driver.with_domain(suspend_and_resume);
  loop.require_until([&] { return calls == 2; });
  virt_uv_get_stats(&after);
  CHECK(after.exceptions == before.exceptions + 1);
}

TEST_CASE("what libvirt refuses is thrown in its words, and the closure destroyed") {
  UvLoop loop;
  const Adapter adapter(loop.get());
  int destroyed = 0;
  const auto refused = [&] {
    return virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(nullptr, nullptr,
                                                                   [counts = CountsDestruction(destroyed)](auto...) {});
  };
  CHECK(error_of(refused) == virt_uv::make_uv_error(UV_EIO));
  CHECK(destroyed == 1);
  const TestDriver driver;
  const auto empty = [&] {
    return virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_REBOOT>(driver.get(), nullptr,
                                                                std::function<void(virConnectPtr, virDomainPtr)>());
  };
  CHECK(error_of(empty) == virt_uv::make_uv_error(UV_EINVAL));
}

TEST_CASE("registered first, connected, attached, and run: the order of Sys::Virt's synopsis") {
  UvLoop loop;
  virt_uv::register_impl(virt_uv::UvEventImpl::instance());
  const TestDriver driver;
  int events = 0;
  const auto lifecycle =
      virt_uv::on_domain_event<VIR_DOMAIN_EVENT_ID_LIFECYCLE>(driver.get(), nullptr, [&](auto...) { ++events; });
  driver.with_domain(suspend_and_resume);
  Adapter adapter(loop.get());
  loop.require_until([&] { return events == 2; });
  adapter.detach();
  CHECK_FALSE(adapter);
  CHECK(error_of([&] { adapter.detach(); }) == virt_uv::make_uv_error(UV_ENOTCONN));
}
