/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "typed_parameters.hpp"

#include <fmt/format.h>

#include "spelling.hpp"

namespace events {

std::string parameter_text(const virTypedParameter &parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_DOUBLE:
      return fmt::format("{:.6g}", parameter.value.d);
    case VIR_TYPED_PARAM_BOOLEAN:
      return parameter.value.b ? "1" : "0";
    case VIR_TYPED_PARAM_STRING:
      return or_null(parameter.value.s);
    default:
      return parameter_value(parameter).dump();
  }
}

Fields parameter_value(const virTypedParameter &parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_INT:
      return parameter.value.i;
    case VIR_TYPED_PARAM_UINT:
      return parameter.value.ui;
    case VIR_TYPED_PARAM_LLONG:
      return parameter.value.l;
    case VIR_TYPED_PARAM_ULLONG:
      return parameter.value.ul;
    case VIR_TYPED_PARAM_DOUBLE:
      return parameter.value.d;
    case VIR_TYPED_PARAM_BOOLEAN:
      return parameter.value.b != 0;
    case VIR_TYPED_PARAM_STRING:
      return parameter.value.s == nullptr ? Fields() : Fields(parameter.value.s);
    default:
      return nullptr;
  }
}

}  // namespace events
