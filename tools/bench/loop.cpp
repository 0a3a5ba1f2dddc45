// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop.hpp"

#include <stdexcept>

namespace virt_uv::bench {

namespace {

struct Maker {
  const char *name;
  std::unique_ptr<Loop> (*make)();
};

const std::vector<Maker> &makers() {
  static const std::vector<Maker> all = {
      {kDefault, make_default_loop},
#ifdef HAVE_LIBVIRT_GLIB
      {kGlib, make_glib_loop},
#endif
      {kOurs, make_virt_uv_loop},
      {kLimit, make_plain_uv_loop},
  };
  return all;
}

std::vector<std::string> names_of(const std::vector<Maker> &all) {
  std::vector<std::string> ret;
  for (const Maker &maker : all) ret.emplace_back(maker.name);
  return ret;
}

}  // namespace

const std::vector<std::string> &loop_names() {
  static const std::vector<std::string> names = names_of(makers());
  return names;
}

std::unique_ptr<Loop> make_loop(const std::string &name) {
  for (const Maker &maker : makers())
    if (name == maker.name) return maker.make();
  throw std::runtime_error("no loop is called '" + name + "'");
}

}  // namespace virt_uv::bench
