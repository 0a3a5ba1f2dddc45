/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.hpp"

#include <fmt/format.h>
#include <virt-uv/virt-uv.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>

#include "demo.hpp"
#include "pool_job.hpp"

namespace events {
namespace {

/* The longest pause that a libvirt or libuv timer of ours is asked for, in seconds: some 68 years. */
constexpr std::uint64_t kMaxSeconds = std::numeric_limits<int>::max();

/* Decimal digits and nothing else. */
template <typename Number>
Number parse_number(const std::string &text, Number least, Number most, const std::string &what) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw CLI::ValidationError(fmt::format("{}: '{}' is not a whole number from {} to {}", what, text, least, most));
  return number;
}

std::uint64_t parse_count(const std::string &text) {
  return parse_number<std::uint64_t>(text, 1, std::numeric_limits<std::int64_t>::max(), "--count");
}

std::uint64_t parse_timeout_ms(const std::string &text) {
  return 1000 * parse_number<std::uint64_t>(text, 1, kMaxSeconds, "--timeout");
}

Keepalive parse_keepalive(const std::string &text) {
  std::size_t colon = text.find(':');
  if (colon == std::string::npos)
    throw CLI::ValidationError(fmt::format("--keepalive: '{}' is not INTERVAL:COUNT, as in 5:6", text));
  Keepalive keepalive;
  keepalive.interval = parse_number<int>(text.substr(0, colon), 0, kMaxSeconds, "--keepalive: INTERVAL");
  keepalive.count = parse_number<unsigned>(text.substr(colon + 1), 0, kMaxSeconds, "--keepalive: COUNT");
  keepalive.asked_for = true;
  return keepalive;
}

std::vector<const EventKind *> find_kinds(const std::vector<std::string> &names) {
  std::vector<const EventKind *> kinds;
  for (const std::string &name : names) {
    const EventKind *kind = find_event_kind(name);
    if (kind == nullptr)
      throw CLI::ValidationError(fmt::format("-e: there is no event '{}'; --list names those there are", name));
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  return kinds;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const EventKind &kind : all_event_kinds()) names.emplace_back(kind.name);
  return names;
}

void check_uris(const std::vector<std::string> &uris) {
  if (std::find(uris.begin(), uris.end(), "") != uris.end())
    throw CLI::ValidationError("-c: the URI is empty; leave -c out for libvirt's own default");
  /* Each connection may hold one thread of the pool. */
  if (uris.size() > kMaxPoolSize)
    throw CLI::ValidationError(fmt::format("-c: {} connections; at most {} can be watched", uris.size(), kMaxPoolSize));
}

std::string version_text() {
  unsigned long libvirt = 0;
  virGetVersion(&libvirt, nullptr, nullptr);
  return fmt::format("virt-uv-events {} (libvirt {}.{}.{}, libuv {})\n", virt_uv_version_string(), libvirt / 1000000,
                     libvirt / 1000 % 1000, libvirt % 1000, uv_version_string());
}

/* What CLI11 leaves the command line's words in. */
struct Words {
  std::vector<std::string> uris, names;
  std::optional<std::string> count, timeout, keepalive;
  bool list = false, version = false, json = false, no_reconnect = false, demo = false;
};

void declare(CLI::App &app, Words &words) {
  app.add_option("-c", words.uris, "Watch this connection; again for each (default: libvirt's own default)")
      ->type_name("URI")
      ->allow_extra_args(false);
  app.add_option("-e", words.names, "Watch this kind of event; again for each (default: every kind)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_flag("--list", words.list, "Print the names of all kinds of events");
  app.add_flag("--json", words.json, "Print each event as one line of JSON");
  app.add_option("--count", words.count, "End after N events")->type_name("N");
  app.add_option("--timeout", words.timeout, "End after so many seconds")->type_name("SECONDS");
  app.add_option("--keepalive", words.keepalive,
                 "Ask a silent host for a sign of life every INTERVAL seconds, and give the connection up after COUNT "
                 "in vain (default: 5:6; never: 0:0)")
      ->type_name("INTERVAL:COUNT");
  app.add_flag("--no-reconnect", words.no_reconnect, "Do not try again a connection that can't be opened or is lost");
  app.add_flag("--demo", words.demo, "Play with libvirt's built-in test driver and print the events that come");
  app.add_flag("--version", words.version, "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
}

void check_demo(const Words &words) {
  bool told = !words.uris.empty() || !words.names.empty() || words.count || words.timeout;
  if (words.demo && told) throw CLI::ValidationError("--demo goes with none of -c, -e, --count and --timeout");
}

Options to_options(const Words &words) {
  check_uris(words.uris);
  check_demo(words);
  Options options;
  options.demo = words.demo;
  options.json = words.json;
  options.reconnect = !words.no_reconnect && !words.demo;
  options.uris = words.demo           ? std::vector<std::string>{Demo::kUri}
                 : words.uris.empty() ? std::vector<std::string>{""}
                                      : words.uris;
  options.kinds = find_kinds(words.demo ? Demo::event_names() : words.names.empty() ? all_names() : words.names);
  if (words.count) options.count = parse_count(*words.count);
  if (words.timeout) options.timeout_ms = parse_timeout_ms(*words.timeout);
  if (words.keepalive) options.keepalive = parse_keepalive(*words.keepalive);
  return options;
}

std::string list_text() {
  std::string text;
  for (const std::string &name : all_names()) text += name + "\n";
  return text;
}

}  // namespace

CommandLine parse_command_line(int argc, const char *const *argv) {
  CLI::App app("Watches libvirt connections in one libuv loop and prints their events.", "virt-uv-events");
  Words words;
  declare(app, words);
  CommandLine result;
  try {
    app.parse(argc, argv);
    if (words.list)
      result.text = list_text();
    else if (words.version)
      result.text = version_text();
    else
      result.options = to_options(words);
  } catch (const CLI::CallForHelp &) {
    result.text = app.help();
  } catch (const CLI::ParseError &error) {
    result.error = error.what();
  }
  return result;
}

}  // namespace events
