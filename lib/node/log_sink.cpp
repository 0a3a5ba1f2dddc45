/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log_sink.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "js.h"

namespace virt_uv::node {
namespace {

struct Line {
  virt_uv_log_level level;
  std::string text;
};

/* Never destroyed: other threads may log while the process exits. */
struct Channels {
  std::mutex lock;
  std::map<std::uintptr_t, napi_threadsafe_function> by_id;
  std::uintptr_t last_id = 0;
};

Channels &channels() {
  static Channels *const instance = new Channels;
  return *instance;
}

void forward(virt_uv_log_level level, const char *message, void *opaque) {
  auto line = std::make_unique<Line>(Line{level, message});
  const std::lock_guard<std::mutex> guard(channels().lock);
  const auto channel = channels().by_id.find(reinterpret_cast<std::uintptr_t>(opaque));
  if (channel == channels().by_id.end()) return;
  if (napi_call_threadsafe_function(channel->second, line.get(), napi_tsfn_nonblocking) != napi_ok) return;
  static_cast<void>(line.release());  // the channel's from here on
}

/* The index is the level. */
constexpr const char *kLevelNames[] = {"none", "error", "warn", "info", "debug"};

/* What a listener throws is an uncaught exception, as in any event listener of Node. */
void report_thrown(napi_env env) {
  napi_value error = nullptr;
  JS_CHECK(napi_get_and_clear_last_exception(env, &error));
  JS_CHECK(napi_fatal_exception(env, error));
}

/* `env` is null when the environment ends before the line was delivered. */
void deliver(napi_env env, napi_value listener, void *, void *data) {
  const std::unique_ptr<Line> line(static_cast<Line *>(data));
  if (env == nullptr) return;
  napi_value receiver = nullptr, arguments[2] = {};
  JS_CHECK(napi_get_undefined(env, &receiver));
  JS_CHECK(napi_create_string_utf8(env, kLevelNames[line->level], NAPI_AUTO_LENGTH, &arguments[0]));
  JS_CHECK(napi_create_string_utf8(env, line->text.c_str(), line->text.size(), &arguments[1]));
  if (napi_call_function(env, receiver, listener, 2, arguments, nullptr) == napi_pending_exception) report_thrown(env);
}

}  // namespace

LogSink::LogSink(napi_env env) : env_(env) {
  const std::lock_guard<std::mutex> guard(channels().lock);
  id_ = ++channels().last_id;
}

LogSink::~LogSink() { stop(); }

void LogSink::listen(napi_value listener) {
  stop();
  if (listener == nullptr) return;
  napi_value name = nullptr;
  JS_CHECK(napi_create_string_utf8(env_, "virt-uv log", NAPI_AUTO_LENGTH, &name));
  JS_CHECK(napi_create_threadsafe_function(env_, listener, nullptr, name, 0, 1, nullptr, nullptr, nullptr, deliver,
                                           &channel_));
  JS_CHECK(napi_unref_threadsafe_function(env_, channel_));
  /* Hooks run in reverse order: this one runs before the one by which Node closes the threadsafe function. */
  JS_CHECK(napi_add_env_cleanup_hook(env_, stop_at_exit, this));
  const std::lock_guard<std::mutex> guard(channels().lock);
  channels().by_id[id_] = channel_;
}

void LogSink::fill(virt_uv_options *ret) const {
  ret->log = channel_ != nullptr ? forward : nullptr;
  ret->log_opaque = reinterpret_cast<void *>(id_);
}

void LogSink::stop_at_exit(void *sink) { static_cast<LogSink *>(sink)->stop(); }

void LogSink::stop() {
  if (channel_ == nullptr) return;
  {
    const std::lock_guard<std::mutex> guard(channels().lock);
    channels().by_id.erase(id_);
  }
  JS_CHECK(napi_remove_env_cleanup_hook(env_, stop_at_exit, this));
  JS_CHECK(napi_release_threadsafe_function(channel_, napi_tsfn_release));
  channel_ = nullptr;
}

}  // namespace virt_uv::node
