#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Shows virt-uv at work, starting from a bare Debian 12: installs what is missing, builds into build/, and runs
#
#     virt-uv-events --demo
#
# or virt-uv-events with the arguments that are given. It prints nothing if there is nothing to install or build. Its
# stdout is that of the program alone.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh

program=tools/events/virt-uv-events

tools/deps.sh build
[[ -e build/$program ]] || echo 'Building virt-uv-events in build/' >&2
configure build -Dtests=disabled -Dtools=enabled -Dapi_docs=disabled
# On a terminal ninja shows how far it is; elsewhere its output is shown only if it fails.
if [[ -t 2 && $(ninja -C build -n "$program") != *'no work to do'* ]]; then
  ninja -C build "$program" >&2
else
  quietly ninja --quiet -C build "$program"
fi

[[ $# -gt 0 ]] || set -- --demo
exec "build/$program" "$@"
