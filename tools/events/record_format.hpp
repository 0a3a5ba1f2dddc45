/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a record is printed: as text, as JSON, or by the user's template.
 *
 * A template is text with fields in braces: "{time} {domain}: {type}". A field is a member of the JSON object, a dot
 * leads into an object: "{local.node}". "{text}" and "{json}" are the whole record. "{{" and "}}" are braces. A record
 * that does not have the field has nothing in its place. */
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "record_fwd.hpp"

namespace events {

class RecordFormat {
 public:
  static RecordFormat text() { return RecordFormat(Kind::kText); }
  static RecordFormat json() { return RecordFormat(Kind::kJson); }

  /* Throws std::invalid_argument with what is wrong with it. */
  static RecordFormat from_template(const std::string &text);

  /* With the newline. Empty: a template prints no records of the watching itself, which have none of its fields. */
  std::string line(const virt_uv::watch::Record &record) const;

 private:
  enum class Kind { kText, kJson, kTemplate };
  struct Field {
    std::vector<std::string> path;
  };
  using Piece = std::variant<std::string, Field>;

  explicit RecordFormat(Kind kind) : kind_(kind) {}
  std::string fill_in(const virt_uv::watch::Record &record) const;

  Kind kind_;
  std::vector<Piece> pieces_;
};

}  // namespace events
