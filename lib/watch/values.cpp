/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "values.hpp"

#include <fmt/format.h>

#include "utf8.hpp"

namespace virt_uv::watch {
namespace {

constexpr long long kExact = 1LL << 53;

bool is_control(std::string_view character) {
  auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0; /* U+0080 to U+009F */
}

std::string escape(std::string_view character) {
  if (character == "\n") return "\\n";
  if (character == "\t") return "\\t";
  if (character == "\r") return "\\r";
  std::string text;
  for (char byte : character) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return text;
}

Fields parameter_value(const virTypedParameter &parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_INT:
      return parameter.value.i;
    case VIR_TYPED_PARAM_UINT:
      return parameter.value.ui;
    case VIR_TYPED_PARAM_LLONG:
      return integer(parameter.value.l);
    case VIR_TYPED_PARAM_ULLONG:
      return integer(parameter.value.ul);
    case VIR_TYPED_PARAM_DOUBLE:
      return parameter.value.d;
    case VIR_TYPED_PARAM_BOOLEAN:
      return parameter.value.b != 0;
    case VIR_TYPED_PARAM_STRING:
      return string(parameter.value.s);
    default:
      return nullptr;
  }
}

}  // namespace

Fields integer(long long value) {
  if (value > kExact || value < -kExact) return std::to_string(value);
  return value;
}

Fields integer(unsigned long long value) {
  if (value > static_cast<unsigned long long>(kExact)) return std::to_string(value);
  return value;
}

Fields string(const char *value) { return value == nullptr ? Fields() : Fields(value); }

std::string escaped(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    std::size_t length = utf8_length(bytes);
    std::string_view character = bytes.substr(0, length == 0 ? 1 : length);
    bytes.remove_prefix(character.size());
    if (length == 0 || is_control(character))
      text += escape(character);
    else
      text += character;
  }
  return text;
}

std::string shown(const char *string) { return string == nullptr ? "<null>" : escaped(string); }

Fields parameter_fields(const virTypedParameter *parameters, int count) {
  Fields fields = Fields::object();
  for (int i = 0; i < count; i++) {
    const char *name = parameters[i].field;
    if (!fields.contains(name)) {
      fields[name] = parameter_value(parameters[i]);
      continue;
    }
    if (!fields[name].is_array()) fields[name] = Fields::array({fields[name]});
    fields[name].push_back(parameter_value(parameters[i]));
  }
  return fields;
}

std::string parameter_text(const virTypedParameter &parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_INT:
      return std::to_string(parameter.value.i);
    case VIR_TYPED_PARAM_UINT:
      return std::to_string(parameter.value.ui);
    case VIR_TYPED_PARAM_LLONG:
      return std::to_string(parameter.value.l);
    case VIR_TYPED_PARAM_ULLONG:
      return std::to_string(parameter.value.ul);
    case VIR_TYPED_PARAM_DOUBLE:
      return fmt::format("{:.6g}", parameter.value.d);
    case VIR_TYPED_PARAM_BOOLEAN:
      return parameter.value.b ? "1" : "0";
    case VIR_TYPED_PARAM_STRING:
      return shown(parameter.value.s);
    default:
      return "null";
  }
}

}  // namespace virt_uv::watch
