/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How many connections fit into the limit of open files. libvirt cannot bear its end: GLib aborts the process where it
 * gets no fd, and libvirt opens a connection that no event ever comes from. So what does not fit is refused at the
 * start. */
#pragma once

#include <string>
#include <vector>

namespace events {

/* Opens /dev/null on each of the fds 0, 1 and 2 that is closed: the next file opened would be taken for it. */
void fill_standard_fds();

/* Raises the soft limit of open files to the hard one. Returns what is wrong, in one line, or an empty string. */
std::string make_room_for(const std::vector<std::string> &uris);

}  // namespace events
