/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The library's statistics and its list of watches, as JS objects. Any environment, attached or not.
 */
#ifndef VIRT_UV_NODE_INSPECT_H
#define VIRT_UV_NODE_INSPECT_H

#include <node_api.h>

namespace virt_uv::node {

napi_value stats_object(napi_env env);
napi_value watches_array(napi_env env);

}  // namespace virt_uv::node

#endif
