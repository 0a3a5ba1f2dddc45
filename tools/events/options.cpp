/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.hpp"

#include <fmt/format.h>
#include <virt-uv/virt-uv.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "brokers.hpp"
#include "demo.hpp"
#include "event_choice.hpp"
#include "line_queue.hpp"
#include "number.hpp"

namespace events {
namespace {

using virt_uv::watch::LineQueue;

/* The longest pause that a libvirt or libuv timer of ours is asked for, in seconds: some 68 years. */
constexpr std::uint64_t kMaxSeconds = std::numeric_limits<int>::max();

std::uint64_t parse_count(const std::string &text) {
  return parse_number<std::uint64_t>(text, 1, std::numeric_limits<std::int64_t>::max(), "--count");
}

std::uint64_t parse_seconds(const std::string &text, const char *option) {
  return 1000 * parse_number<std::uint64_t>(text, 1, kMaxSeconds, option);
}

std::size_t parse_queue(const std::string &text) {
  return parse_number<std::size_t>(text, LineQueue::kLeastLimit, std::numeric_limits<std::int32_t>::max(), "--queue");
}

virt_uv::watch::Keepalive parse_keepalive(const std::string &text) {
  std::size_t colon = text.find(':');
  if (colon == std::string::npos)
    throw CLI::ValidationError(fmt::format("--keepalive: '{}' is not INTERVAL:COUNT, as in 5:6", text));
  virt_uv::watch::Keepalive keepalive;
  keepalive.interval = parse_number<int>(text.substr(0, colon), 0, kMaxSeconds, "--keepalive: INTERVAL");
  keepalive.count = parse_number<unsigned>(text.substr(colon + 1), 0, kMaxSeconds, "--keepalive: COUNT");
  keepalive.asked_for = true;
  return keepalive;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const virt_uv::watch::EventKind &kind : virt_uv::watch::all_event_kinds()) names.emplace_back(kind.name);
  return names;
}

void check_uris(const std::vector<std::string> &uris) {
  if (std::find(uris.begin(), uris.end(), "") != uris.end())
    throw CLI::ValidationError("-c: the URI is empty; leave -c out for libvirt's own default");
}

std::string version_text() {
  unsigned long libvirt = 0;
  virGetVersion(&libvirt, nullptr, nullptr);
  return fmt::format("virt-uv-events {} (libvirt {}.{}.{}, libuv {})\n", virt_uv_version_string(), libvirt / 1000000,
                     libvirt / 1000 % 1000, libvirt % 1000, uv_version_string());
}

/* What CLI11 leaves the command line's words in. */
struct Words {
  std::vector<std::string> uris, events, domains;
  std::optional<std::string> count, timeout, keepalive, queue, stats, format, exec, to;
  bool list = false, version = false, json = false, no_reconnect = false, demo = false, states = false, quiet = false;
};

void declare(CLI::App &app, Words &words) {
  app.add_option("-c,--connect", words.uris, "Watch this connection; again for each (default: libvirt's own default)")
      ->type_name("URI")
      ->allow_extra_args(false);
  app.add_option(
         "-e,--event", words.events,
         "Watch these kinds of events: names and globs, separated by commas; may be given again (default: every "
         "kind)")
      ->type_name("NAMES")
      ->allow_extra_args(false);
  app.add_option("--domain", words.domains, "Watch domain events of this domain only; again for each")
      ->type_name("NAME|UUID")
      ->allow_extra_args(false);
  app.add_flag("--state", words.states,
               "Print the present state of each domain whenever a connection is opened, before the events");
  app.add_flag("--list", words.list, "Print the names of all kinds of events");
  app.add_flag("--json", words.json, "Print each record as one line of JSON");
  app.add_option("--format", words.format, "Print each event by this template, as in '{time} {domain} {type}'")
      ->type_name("TEMPLATE");
  app.add_option("--exec", words.exec,
                 "Run this program for each record in place of printing it: JSON on standard input, fields in the "
                 "environment")
      ->type_name("PROGRAM");
  app.add_option("--to", words.to, "Send each record to this stream of Redis, or to JetStream, in place of printing it")
      ->type_name("redis://HOST[:PORT]/STREAM|nats://HOST[:PORT]/SUBJECT");
  app.add_option("--count", words.count, "End after N events")->type_name("N");
  app.add_option("--timeout", words.timeout, "End after this many seconds")->type_name("SECONDS");
  app.add_option("--stats", words.stats, "Print a record with counts every so many seconds")->type_name("SECONDS");
  app.add_option(
         "--queue", words.queue,
         fmt::format("Keep this many bytes of records while the output is not read, and drop and count what comes "
                     "beyond (default: {})",
                     static_cast<std::size_t>(LineQueue::kDefaultLimit)))
      ->type_name("BYTES");
  app.add_option("--keepalive", words.keepalive,
                 "Ask a silent host for a sign of life every INTERVAL seconds, and take the connection for lost after "
                 "COUNT questions without an answer (default: 5:6; never: 0:0)")
      ->type_name("INTERVAL:COUNT");
  app.add_flag("--no-reconnect", words.no_reconnect, "Do not try again a connection that cannot be opened or is lost");
  app.add_flag("--quiet", words.quiet, "Print only warnings and errors on standard error");
  app.add_flag("--demo", words.demo, "Change libvirt's built-in test driver and print the events that come of it");
  app.add_flag("--version", words.version, "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
}

void check_combinations(const Words &words) {
  bool told = !words.uris.empty() || !words.events.empty() || !words.domains.empty() || words.count || words.timeout;
  if (words.demo && told)
    throw CLI::ValidationError("--demo goes with none of -c, -e, --domain, --count and --timeout");
  if (words.exec && (words.json || words.format))
    throw CLI::ValidationError("--exec: it goes with neither --json nor --format");
  if (words.to && (words.json || words.format || words.exec))
    throw CLI::ValidationError("--to: it goes with none of --json, --format and --exec");
  if (words.json && words.format) throw CLI::ValidationError("--format: it does not go with --json");
}

RecordFormat choose_format(const Words &words) {
  try {
    return words.format ? RecordFormat::from_template(*words.format)
           : words.json ? RecordFormat::json()
                        : RecordFormat::text();
  } catch (const std::invalid_argument &error) {
    throw CLI::ValidationError(fmt::format("--format: {}", error.what()));
  }
}

BrokerAddress choose_broker(const std::string &text) {
  try {
    const BrokerAddress address = parse_broker_address(text);
    if (const char *library = missing_library(address.broker))
      throw std::invalid_argument(fmt::format("'{}': this program was built without {}", text, library));
    return address;
  } catch (const std::invalid_argument &error) {
    throw CLI::ValidationError(fmt::format("--to: {}", error.what()));
  }
}

void choose_events(const Words &words, Options &ret) {
  try {
    virt_uv::watch::EventChoice choice = virt_uv::watch::choose_events(words.demo ? Demo::event_names() : words.events);
    ret.kinds = std::move(choice.kinds);
    ret.expected = std::move(choice.named);
  } catch (const virt_uv::watch::UnknownEvent &error) {
    throw CLI::ValidationError(fmt::format("-e: {}; --list names those there are", error.what()));
  } catch (const std::invalid_argument &error) {
    throw CLI::ValidationError(fmt::format("-e: {}", error.what()));
  }
}

/* Only events of domains are about one. */
void choose_domains(const Words &words, Options &ret) {
  for (const std::string &domain : words.domains) {
    if (domain.empty()) throw CLI::ValidationError("--domain: the name is empty");
    ret.domains.add(domain);
  }
  if (words.domains.empty()) return;
  auto &kinds = ret.kinds;
  kinds.erase(std::remove_if(kinds.begin(), kinds.end(),
                             [](const auto *kind) { return kind->family != virt_uv::watch::Family::kDomain; }),
              kinds.end());
  if (kinds.empty()) throw CLI::ValidationError("--domain: none of the events that -e names is about a domain");
}

Options to_options(const Words &words) {
  check_uris(words.uris);
  check_combinations(words);
  Options options;
  options.demo = words.demo;
  options.states = words.states;
  options.quiet = words.quiet || words.demo;
  options.reconnect = !words.no_reconnect && !words.demo;
  options.uris = words.demo           ? std::vector<std::string>{Demo::kUri}
                 : words.uris.empty() ? std::vector<std::string>{""}
                                      : words.uris;
  options.format = choose_format(words);
  choose_events(words, options);
  choose_domains(words, options);
  options.queue_bytes = words.queue ? parse_queue(*words.queue) : LineQueue::kDefaultLimit;
  options.exec = words.exec;
  if (words.to) options.to = choose_broker(*words.to);
  if (words.count) options.count = parse_count(*words.count);
  if (words.timeout) options.timeout_ms = parse_seconds(*words.timeout, "--timeout");
  if (words.stats) options.stats_ms = parse_seconds(*words.stats, "--stats");
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
  } catch (const std::invalid_argument &error) { /* of a number */
    result.error = error.what();
  }
  return result;
}

}  // namespace events
