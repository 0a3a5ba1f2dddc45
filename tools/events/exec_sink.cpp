/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec_sink.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <vector>

#include "line.hpp"
#include "record.hpp"

namespace events {
namespace {

using virt_uv::watch::Fields;

/* "devAlias" is VIRT_UV_DEV_ALIAS. */
std::string variable_name(const std::string &member) {
  std::string name = "VIRT_UV_";
  for (char c : member) {
    auto letter = static_cast<unsigned char>(c);
    if (std::isupper(letter) != 0 && std::islower(static_cast<unsigned char>(name.back())) != 0) name += '_';
    name += c;
  }
  for (char &c : name) c = static_cast<char>(std::isalnum(static_cast<unsigned char>(c)) ? std::toupper(c) : '_');
  return name;
}

/* A variable cannot hold a NUL, and no string of libvirt's has one. */
std::string variable_value(const Fields &value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : virt_uv::watch::json_text(value);
}

std::vector<std::string> environment_of(const std::string &line) {
  std::vector<std::string> environment;
  for (char **variable = environ; *variable != nullptr; variable++) environment.emplace_back(*variable);
  Fields record = Fields::parse(line);
  for (const auto &[member, value] : record.items())
    environment.push_back(fmt::format("{}={}", variable_name(member), variable_value(value)));
  return environment;
}

}  // namespace

ExecSink::ExecSink(std::string program, std::size_t queue_bytes)
    : program_(std::move(program)),
      queue_(queue_bytes, [](const Gap &gap) { return virt_uv::watch::json_line(dropped_record(gap)) + "\n"; }) {}

int ExecSink::open(uv_loop_t *loop, SinkOwner *owner) {
  loop_ = loop;
  owner_ = owner;
  return 0;
}

void ExecSink::put(const virt_uv::watch::Record &record) {
  if (has_failed_) return;
  queue_.put(virt_uv::watch::json_line(record) + "\n");
  run_next();
}

void ExecSink::run_next() {
  if (running_ || queue_.is_empty()) return;
  line_ = queue_.take();
  std::vector<std::string> environment = environment_of(line_);
  std::vector<char *> variables;
  for (std::string &variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  char *arguments[] = {program_.data(), nullptr};

  uv_pipe_init(loop_, &input_, 0);
  input_.data = process_.data = this;
  uv_stdio_container_t files[3];
  files[0].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_READABLE_PIPE);
  files[0].data.stream = reinterpret_cast<uv_stream_t *>(&input_);
  for (int fd : {1, 2}) {
    files[fd].flags = UV_INHERIT_FD;
    files[fd].data.fd = fd;
  }
  uv_process_options_t options = {};
  options.exit_cb = [](uv_process_t *process, int64_t status, int signal) {
    static_cast<ExecSink *>(process->data)->note_exit(status, signal);
  };
  options.file = program_.c_str();
  options.args = arguments;
  options.env = variables.data();
  options.stdio = files;
  options.stdio_count = 3;
  running_ = true;
  parts_ = 2;
  int error = uv_spawn(loop_, &process_, &options);
  if (error < 0) return fail(error);
  write_input();
}

void ExecSink::fail(int error) {
  has_failed_ = true;
  for (uv_handle_t *part : {reinterpret_cast<uv_handle_t *>(&process_), reinterpret_cast<uv_handle_t *>(&input_)})
    uv_close(part, nullptr);
  owner_->sink_failed(1, fmt::format("--exec: '{}' cannot be run: {}", program_, uv_strerror(error)));
}

/* A program that does not read its input closes it: that is no failure. */
void ExecSink::write_input() {
  request_.data = this;
  uv_buf_t buffer = uv_buf_init(line_.data(), static_cast<unsigned>(line_.size()));
  auto close_input = [](uv_write_t *request, int) {
    uv_close(reinterpret_cast<uv_handle_t *>(request->handle),
             [](uv_handle_t *input) { static_cast<ExecSink *>(input->data)->part_ended(); });
  };
  uv_write(&request_, reinterpret_cast<uv_stream_t *>(&input_), &buffer, 1, close_input);
}

void ExecSink::note_exit(int64_t status, int signal) {
  if (signal != 0)
    owner_->sink_notice(virt_uv::watch::Severity::kWarning, fmt::format("{} was ended by signal {}", program_, signal));
  else if (status != 0)
    owner_->sink_notice(virt_uv::watch::Severity::kWarning, fmt::format("{} ended with status {}", program_, status));
  uv_close(reinterpret_cast<uv_handle_t *>(&process_),
           [](uv_handle_t *process) { static_cast<ExecSink *>(process->data)->part_ended(); });
}

void ExecSink::part_ended() {
  if (--parts_ > 0) return;
  running_ = false;
  run_next();
  if (is_idle()) owner_->sink_idle();
}

}  // namespace events
