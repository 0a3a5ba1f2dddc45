/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One module for each thread, however often and from however many files it is loaded.
 *
 * Node calls a module's entry again, with a new napi_env, each time that the module is required after its entry in the
 * require cache was cleared (hot reload, test runners). Two attachments of one loop would each believe that the library
 * is theirs. So a thread's first load makes the exports, and each later load gets the same object. It lives as long as
 * the thread's environment, as every napi_env does.
 *
 * A second copy of the file (a package installed twice) brings a second library, and libvirt takes one event loop in
 * the life of a process. So a copy passes its load on to the copy that was loaded first. That one is found among the
 * loaded objects by an exported symbol, whose number is that of the contract between index.js and the exports: copies
 * that differ in it do not find each other.
 */
#ifndef VIRT_UV_NODE_MODULE_H
#define VIRT_UV_NODE_MODULE_H

#include <node_api.h>

namespace virt_uv::node {

using Entry = napi_value (*)(napi_env env, napi_value exports);
Entry first_copy();

void fill_exports(napi_env env, napi_value exports); /* a thread's first load: in addon.cpp */
void clear_module();                                 /* the environment of the calling thread ends */

}  // namespace virt_uv::node

#endif
