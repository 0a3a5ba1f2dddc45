#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# After `meson install`: the dynamic linker finds libraries by a cache, which ldconfig writes. Only root can, and it
# only helps a library in one of the linker's folders; otherwise LD_LIBRARY_PATH or an rpath is needed anyway.
PATH=$PATH:/usr/sbin:/sbin
[ "$(id -u)" != 0 ] || ldconfig
