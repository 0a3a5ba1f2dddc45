/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VIRT_UV_NODE_WATCH_OPTIONS_H
#define VIRT_UV_NODE_WATCH_OPTIONS_H

#include <string>

#include "watcher.h"

namespace virt_uv::node {

/* The options of watch(), which watch_options.js has checked and written as JSON. Throws std::exception where libvirt
 * has no such event. */
Watcher::Options parse_watch_options(const std::string &json);

}  // namespace virt_uv::node

#endif
