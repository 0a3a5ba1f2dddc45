#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the shared library shows to the linker: its name, what it needs, that it stays, and the symbols that were
# reviewed.
#
#     library.sh LIBRARY SYMBOL_LIST

set -u
library=$1 list=$2
failed=0

report() {
  echo "library.sh: $*" >&2
  failed=1
}

dynamic=$(readelf --wide --dynamic "$library") || exit 1
[[ $dynamic == *'soname: [libvirt-uv.so.0]'* ]] || report "the SONAME isn't libvirt-uv.so.0"
# libvirt keeps pointers into the library for as long as the process lives.
grep -q 'FLAGS_1.*NODELETE' <<< "$dynamic" || report "dlclose could unload it: link it with -z nodelete"
grep -Eq 'RPATH|RUNPATH' <<< "$dynamic" && report "it carries a search path of its own"

# Inside Node, and wherever libuv.so.1 isn't the host's, a libuv of our own would drive the host's loop with the wrong
# code.
inside=$(nm --defined-only "$library" | awk '$3 ~ /^uv_/ { print $3 }' | head -3)
[ -z "$inside" ] || report "libuv's code is inside: $inside"
nm --dynamic --undefined-only "$library" | grep -q 'uv_poll_start' ||
  report "it doesn't take uv_poll_start from the process"

exported=$(nm --dynamic --defined-only --format=posix "$library" | awk '{ print $1 }' | LC_ALL=C sort)
difference=$(diff <(grep -v '^#' "$list") - <<< "$exported") ||
  report "the exported symbols are not those reviewed in $list (<: gone, >: new):
$difference"

exit "$failed"
