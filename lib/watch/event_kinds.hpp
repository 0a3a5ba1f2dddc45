/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every kind of event that can be watched: its name, and how it is asked of a connection.
 *
 * libvirt has one pair of functions (register, deregister) for each family of objects, and within a family a number and
 * a callback type for each kind. A domain event has the name that `virsh event --list` gives it. Those of the other
 * families have the name that `virsh net-event --list` and its like give, with the family in front: network-lifecycle.
 */
#pragma once

#include <libvirt/libvirt.h>

#include <string>
#include <string_view>
#include <vector>

namespace virt_uv::watch {

enum class Family { kDomain, kNetwork, kStoragePool, kNodeDevice, kSecret };

struct EventKind {
  const char *name; /* as -e takes it */
  Family family;
  int id;             /* within the family, a VIR_..._EVENT_ID_... */
  void (*callback)(); /* of the type that libvirt asks for with this id; its opaque is a Subscription */
};

const std::vector<EventKind> &all_event_kinds();

/* nullptr: there is none of that name. */
const EventKind *find_event_kind(std::string_view name);

/* Those that the libvirt of this version has, and the one that this was built with had not. */
std::vector<std::string> undecoded_kinds(unsigned long running);

/* The name that virsh prints: that of the kind without its family. */
std::string_view virsh_name(const EventKind &kind);

}  // namespace virt_uv::watch
