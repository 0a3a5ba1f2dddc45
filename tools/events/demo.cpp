/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "demo.hpp"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "record.hpp"
#include "workers.hpp"

namespace events {
namespace {

struct Step {
  const char *what;
  const char *event;   /* the kind that comes of it */
  const char *outcome; /* with which its text ends */
  int (*act)(virConnectPtr connection);
};

/* The test driver's objects, by their names. -1 where there is none, as for a call that fails. */
template <int (*act)(virDomainPtr)>
int with_domain(virConnectPtr connection) {
  virDomainPtr domain = virDomainLookupByName(connection, "test");
  if (domain == nullptr) return -1;
  int result = act(domain);
  virDomainFree(domain);
  return result;
}

template <int (*act)(virNetworkPtr)>
int with_network(virConnectPtr connection) {
  virNetworkPtr network = virNetworkLookupByName(connection, "default");
  if (network == nullptr) return -1;
  int result = act(network);
  virNetworkFree(network);
  return result;
}

int set_title(virDomainPtr domain) {
  return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, "watched by virt-uv", nullptr, nullptr,
                              VIR_DOMAIN_AFFECT_LIVE);
}

int refresh_pool(virConnectPtr connection) {
  virStoragePoolPtr pool = virStoragePoolLookupByName(connection, "default-pool");
  if (pool == nullptr) return -1;
  int result = virStoragePoolRefresh(pool, 0);
  virStoragePoolFree(pool);
  return result;
}

constexpr Step kSteps[] = {
    {"suspending the domain", "lifecycle", ": Suspended Paused", with_domain<virDomainSuspend>},
    {"resuming the domain", "lifecycle", ": Resumed Unpaused", with_domain<virDomainResume>},
    {"giving the domain a title", "metadata-change", ": type title, uri <null>", with_domain<set_title>},
    {"stopping the domain", "lifecycle", ": Stopped Destroyed", with_domain<virDomainDestroy>},
    {"starting the domain", "lifecycle", ": Started Booted", with_domain<virDomainCreate>},
    {"stopping the network", "network-lifecycle", ": Stopped", with_network<virNetworkDestroy>},
    {"starting the network", "network-lifecycle", ": Started", with_network<virNetworkCreate>},
    {"refreshing the storage pool", "pool-refresh", "", refresh_pool},
};

/* Returns libvirt's message where it fails. Blocks. */
std::string perform(const Step &step) {
  virConnectPtr connection = virConnectOpen(Demo::kUri);
  if (connection == nullptr) return virGetLastErrorMessage();
  std::string error = step.act(connection) < 0 ? virGetLastErrorMessage() : "";
  virConnectClose(connection);
  return error;
}

bool is_outcome(const Step &step, const virt_uv::watch::Record &record) {
  std::string_view end = step.outcome, text = record.text;
  return record.event == step.event && text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::vector<std::string> Demo::event_names() {
  std::vector<std::string> names;
  std::transform(std::begin(kSteps), std::end(kSteps), std::back_inserter(names),
                 [](const Step &step) { return step.event; });
  return names;
}

Demo::Demo(virt_uv::watch::Workers *workers, std::function<void(const std::string &)> finished)
    : workers_(workers), finished_(std::move(finished)) {}

void Demo::begin() { act(); }

void Demo::act() {
  acted_ = seen_ = false;
  auto error = std::make_shared<std::string>();
  /* The thread that opened the watched connection, or another, is there. */
  workers_->run([this, error] { *error = perform(kSteps[step_]); }, [this, error] { acted(*error); });
}

/* The event may come before the call that caused it has returned to its own thread. */
void Demo::acted(const std::string &error) {
  if (!error.empty()) return finish(fmt::format("{}: {}", kSteps[step_].what, error));
  acted_ = true;
  next_step();
}

void Demo::saw(const virt_uv::watch::Record &record) {
  if (step_ < std::size(kSteps) && is_outcome(kSteps[step_], record)) seen_ = true;
  next_step();
}

void Demo::next_step() {
  if (stopped_ || !acted_ || !seen_) return;
  if (++step_ == std::size(kSteps)) return finish("");
  act();
}

void Demo::finish(const std::string &problem) {
  if (!std::exchange(stopped_, true)) finished_(problem);
}

std::string Demo::waiting_for() const {
  return fmt::format("{}: no event '{}' has come", kSteps[step_].what, kSteps[step_].event);
}

}  // namespace events
