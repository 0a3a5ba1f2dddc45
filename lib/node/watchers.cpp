/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watchers.h"

#include <utility>
#include <vector>

#include "watch/line.hpp"
#include "watch/record.hpp"

namespace virt_uv::node {
namespace {

std::string failed_start(int uv_error) {
  const std::string message = std::string("watch: ") + uv_err_name(uv_error) + ": " + explain(uv_error);
  return watch::json_text(
      {{{"severity", "error"}, {"code", uv_err_name(uv_error)}, {"message", message}}, {{"severity", "end"}}});
}

}  // namespace

Watchers::Watchers(napi_env env, uv_loop_t *loop, std::function<void(Function)> closed)
    : env_(env), loop_(loop), closed_(std::move(closed)) {}

std::uint32_t Watchers::add(const Watcher::Options &options, napi_value listener) {
  Entry entry{std::make_unique<Watcher>(options), nullptr};
  JS_CHECK(napi_create_reference(env_, listener, 1, &entry.listener));
  entries_.emplace(++last_number_, std::move(entry));
  return last_number_;
}

int Watchers::start(std::uint32_t number) {
  Entry &entry = entries_.at(number);
  const int error = entry.watcher->start(loop_);
  if (error == 0)
    entry.state = State::kStarted;
  else
    remove(number);
  return error;
}

void Watchers::remove(std::uint32_t number) {
  const auto entry = entries_.find(number);
  JS_CHECK(napi_delete_reference(env_, entry->second.listener));
  entries_.erase(entry);
}

/* A listener may open and close watchers: each is looked up when it is called. */
void Watchers::start_waiting(napi_async_context context, int attach_error) {
  std::vector<std::uint32_t> numbers;
  for (const auto &[number, entry] : entries_)
    if (entry.state == State::kWaiting) numbers.push_back(number);
  for (const std::uint32_t number : numbers) {
    const auto entry = entries_.find(number);
    if (entry == entries_.end()) continue;
    const int error = attach_error < 0 ? attach_error : entry->second.watcher->start(loop_);
    if (error == 0)
      entry->second.state = State::kStarted;
    else
      call(context, entry->second.listener, failed_start(error));
  }
}

std::string Watchers::take(std::uint32_t number) {
  const auto entry = entries_.find(number);
  return entry == entries_.end() ? "" : entry->second.watcher->take_records();
}

void Watchers::close(std::uint32_t number, Function done) {
  Entry &entry = entries_.at(number);
  if (std::exchange(entry.state, State::kClosing) == State::kWaiting) {
    remove(number);
    return closed_(done);
  }
  entry.watcher->close([this, number, done] {
    remove(number);
    closed_(done);
  });
}

void Watchers::tell(napi_async_context context) {
  std::vector<std::uint32_t> numbers;
  for (const auto &[number, entry] : entries_)
    if (entry.watcher->has_news()) numbers.push_back(number);
  for (const std::uint32_t number : numbers) {
    const auto entry = entries_.find(number);
    if (entry != entries_.end()) call(context, entry->second.listener, entry->second.watcher->take_notices());
  }
}

void Watchers::end() {
  has_ended_ = true;
  std::vector<std::uint32_t> numbers;
  for (const auto &[number, entry] : entries_)
    if (entry.state != State::kClosing) numbers.push_back(number);
  for (const std::uint32_t number : numbers) close(number, Function());
}

void Watchers::call(napi_async_context context, napi_ref listener, const std::string &notices) {
  if (has_ended_) return;
  const CallbackScope scope(env_, context);
  napi_value function = nullptr, receiver = nullptr, argument = make_string(env_, notices);
  JS_CHECK(napi_get_reference_value(env_, listener, &function));
  JS_CHECK(napi_get_undefined(env_, &receiver));
  JS_CHECK(napi_call_function(env_, receiver, function, 1, &argument, nullptr));
}

}  // namespace virt_uv::node
