/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "line.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>

#include "utf8.hpp"
#include "values.hpp"

namespace virt_uv::watch {
namespace {

std::string hexadecimal(const std::string &bytes) {
  std::string text;
  for (char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

/* RFC 6901 */
std::string pointer_token(const std::string &name) {
  std::string token;
  for (char c : name) token += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return token;
}

void collect_bytes(const Fields &value, const std::string &pointer, Fields &ret) {
  if (value.is_string()) {
    const auto &bytes = value.get_ref<const std::string &>();
    if (!is_utf8(bytes)) ret[pointer] = hexadecimal(bytes);
  } else if (value.is_object()) {
    for (const auto &[name, member] : value.items()) collect_bytes(member, pointer + "/" + pointer_token(name), ret);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); i++) collect_bytes(value[i], fmt::format("{}/{}", pointer, i), ret);
  }
}

void add_bytes(Fields &object) {
  Fields bytes = Fields::object();
  collect_bytes(object, "", bytes);
  if (!bytes.empty()) object["bytes"] = std::move(bytes);
}

/* Without "bytes". Room is made first: as the names are const, a vector that grows copies what it has. */
Fields members(Record record) {
  auto &fields = record.fields.get_ref<Fields::object_t &>();
  Fields::object_t object;
  object.reserve(fields.size() + 4);
  object["time"] = timestamp(record.time);
  if (!record.uri.empty()) object["uri"] = std::move(record.uri);
  object["event"] = std::move(record.event);
  for (auto &[name, value] : fields) object[name] = std::move(value);
  return object;
}

}  // namespace

std::string timestamp(std::chrono::system_clock::time_point time) {
  using std::chrono::milliseconds;
  auto since_epoch = std::chrono::floor<milliseconds>(time.time_since_epoch());
  auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch); /* downwards before 1970 too */
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (since_epoch - seconds).count());
}

std::string text_line(const Record &record) {
  if (record.uri.empty()) return fmt::format("{} {}", timestamp(record.time), record.text);
  return fmt::format("{} {}: {}", timestamp(record.time), escaped(record.uri), record.text);
}

Fields json_object(Record record) {
  Fields object = members(std::move(record));
  add_bytes(object);
  return object;
}

/* Nearly every record is UTF-8 throughout, which dump() finds out by the way. */
std::string json_line(Record record) {
  Fields object = members(std::move(record));
  try {
    return object.dump(-1, ' ', false, Fields::error_handler_t::strict);
  } catch (const Fields::type_error &) {
    add_bytes(object);
    return json_text(object);
  }
}

std::string json_text(const Fields &value) { return value.dump(-1, ' ', false, Fields::error_handler_t::replace); }

}  // namespace virt_uv::watch
