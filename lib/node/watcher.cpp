/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watcher.h"

#include <libvirt/virterror.h>

#include <mutex>
#include <utility>

#include "watch/event_kinds.hpp"
#include "watch/line.hpp"
#include "watch/record.hpp"

namespace virt_uv::node {
namespace {

using watch::Connection;
using watch::Fields;
using watch::Gap;
using watch::Record;
using watch::Severity;

/* As long as virt-uv-events waits. */
constexpr std::uint64_t kGraceMs = 700;

/* Some 400 records: JS has other things to do between two batches. */
constexpr std::size_t kBatchBytes = 65536;

/* libvirt would print each error on stderr. The watchers report them. */
void silence_libvirt() {
  static std::once_flag once;
  std::call_once(once, [] { virSetErrorFunc(nullptr, [](void *, virErrorPtr) {}); });
}

std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Watcher::Watcher(const Options &options)
    : options_(options),
      queue_(options.queue_bytes, [](const Gap &gap) { return watch::json_line(watch::dropped_record(gap)); }) {}

int Watcher::start(uv_loop_t *loop) {
  silence_libvirt();
  const int error = workers_.start(loop, [this](std::size_t threads, const std::string &why) {
    notice({{"severity", "warning"},
            {"message", "no more than " + std::to_string(threads) + " threads can be started (" + why +
                            "): connections wait for one another"}});
  });
  if (error < 0) return error;
  uv_timer_init(loop, &grace_);
  grace_.data = this;
  report_undecoded();
  watch::Observer *const observer = this;
  for (const std::string &uri : options_.uris)
    connections_.emplace_back(loop, &workers_, observer, options_.connections, uri).start();
  return 0;
}

void Watcher::report_undecoded() {
  if (!options_.wants_all_kinds) return;
  unsigned long running = 0;
  virGetVersion(&running, nullptr, nullptr);
  const std::vector<std::string> kinds = watch::undecoded_kinds(running);
  if (kinds.empty()) return;
  notice(
      {{"severity", "warning"},
       {"message", "the addon was built with an older libvirt than it runs with, and cannot watch: " + joined(kinds)}});
}

void Watcher::notice(Fields fields) {
  notices_.push_back(std::move(fields));
  has_news_ = true;
}

std::string Watcher::take_notices() {
  has_news_ = false;
  return watch::json_text(std::exchange(notices_, Fields::array()));
}

std::string Watcher::take_records() {
  std::string batch;
  while (!queue_.is_empty() && (batch.empty() || batch.size() + queue_.at(0).size() <= kBatchBytes)) {
    batch += batch.empty() ? '[' : ',';
    batch += queue_.take();
  }
  if (!batch.empty()) batch += ']';
  return batch;
}

void Watcher::on_record(const Connection &, Record record) {
  queue_.put(watch::json_line(std::move(record)));
  has_news_ = true;
}

void Watcher::on_notice(const Connection &connection, Severity severity, const std::string &text) {
  notice({{"severity", severity == Severity::kError ? "error" : "warning"},
          {"code", "EIO"},
          {"uri", connection.uri()},
          {"message", connection.uri() + ": " + text}});
}

void Watcher::on_bad_uri(const Connection &connection, const std::string &why) {
  notice({{"severity", "error"},
          {"code", "EINVAL"},
          {"uri", connection.uri()},
          {"message", "'" + connection.uri() + "' is not a libvirt URI: " + why}});
}

void Watcher::on_ended(const Connection &) {
  ++ended_;
  if (!have_all_ended()) return;
  if (closed_) return close_handles();
  notice({{"severity", "end"}});
}

void Watcher::close(std::function<void()> closed) {
  closed_ = std::move(closed);
  if (have_all_ended()) return close_handles();
  uv_timer_start(
      &grace_, [](uv_timer_t *timer) { static_cast<Watcher *>(timer->data)->abandon(); }, kGraceMs, 0);
  for (Connection &connection : connections_) connection.stop();
}

void Watcher::abandon() {
  for (Connection &connection : connections_) connection.abandon();
}

void Watcher::close_handles() {
  uv_close(reinterpret_cast<uv_handle_t *>(&grace_), [](uv_handle_t *grace) {
    auto *const self = static_cast<Watcher *>(grace->data);
    self->workers_.close([self] { std::exchange(self->closed_, nullptr)(); });
  });
}

}  // namespace virt_uv::node
