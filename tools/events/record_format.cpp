/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "line.hpp"
#include "record.hpp"
#include "values.hpp"

namespace events {
namespace {

using virt_uv::watch::Fields;
using virt_uv::watch::Record;

/* Every member that a record can have (a test compares them with the schema in doc/), "json" and "text". */
constexpr const char *kFields[] = {
    "action",  "actual",     "alias",       "authScheme", "bytes",      "channelName", "connections", "count",
    "detail",  "dev",        "devAlias",    "device",     "disk",       "domain",      "dropped",     "event",
    "events",  "excess",     "flags",       "id",         "iteration",  "json",        "local",       "network",
    "newMAC",  "newSrcPath", "nsuri",       "oldMAC",     "oldSrcPath", "open",        "params",      "path",
    "phase",   "pool",       "queuedBytes", "reason",     "recipient",  "remote",      "since",       "size",
    "srcPath", "state",      "status",      "subject",    "text",       "threshold",   "time",        "type",
    "uri",     "utcoffset",  "uuid",        "vcpuid",     "waiting",
};

std::vector<std::string> split_path(const std::string &name) {
  std::vector<std::string> path;
  std::size_t begin = 0, dot;
  while ((dot = name.find('.', begin)) != std::string::npos) {
    path.push_back(name.substr(begin, dot - begin));
    begin = dot + 1;
  }
  path.push_back(name.substr(begin));
  if (std::none_of(std::begin(kFields), std::end(kFields), [&](const char *field) { return path[0] == field; }))
    throw std::invalid_argument(fmt::format("no record has a field '{}'; the manual page lists them", path[0]));
  return path;
}

std::string value_text(const Fields &value) {
  if (value.is_null()) return "";
  if (value.is_string()) return virt_uv::watch::escaped(value.get_ref<const std::string &>());
  return virt_uv::watch::json_text(value);
}

std::string value_at(const Fields &object, const std::vector<std::string> &path) {
  const Fields *value = &object;
  for (const std::string &name : path) {
    if (!value->is_object() || !value->contains(name)) return "";
    value = &(*value)[name];
  }
  return value_text(*value);
}

}  // namespace

RecordFormat RecordFormat::from_template(const std::string &text) {
  RecordFormat format(Kind::kTemplate);
  std::string literal;
  for (std::size_t i = 0; i < text.size(); i++) {
    bool doubled = i + 1 < text.size() && text[i + 1] == text[i];
    if ((text[i] == '{' || text[i] == '}') && doubled) {
      literal += text[i++];
    } else if (text[i] == '{') {
      std::size_t end = text.find('}', i);
      if (end == std::string::npos) throw std::invalid_argument("a '{' is not closed; '{{' is a brace");
      format.pieces_.emplace_back(std::move(literal));
      literal.clear();
      format.pieces_.emplace_back(Field{split_path(text.substr(i + 1, end - i - 1))});
      i = end;
    } else if (text[i] == '}') {
      throw std::invalid_argument("a '}' closes nothing; '}}' is a brace");
    } else {
      literal += text[i];
    }
  }
  format.pieces_.emplace_back(std::move(literal));
  return format;
}

std::string RecordFormat::line(const Record &record) const {
  switch (kind_) {
    case Kind::kText:
      return virt_uv::watch::text_line(record) + "\n";
    case Kind::kJson:
      return virt_uv::watch::json_line(record) + "\n";
    default:
      return record.kind == nullptr && record.event != "state" ? "" : fill_in(record) + "\n";
  }
}

std::string RecordFormat::fill_in(const Record &record) const {
  Fields object = virt_uv::watch::json_object(record);
  std::string line;
  for (const Piece &piece : pieces_) {
    if (const auto *literal = std::get_if<std::string>(&piece)) {
      line += *literal;
      continue;
    }
    const auto &path = std::get<Field>(piece).path;
    line += path[0] == "json"   ? virt_uv::watch::json_text(object)
            : path[0] == "text" ? record.text
                                : value_at(object, path);
  }
  return line;
}

}  // namespace events
