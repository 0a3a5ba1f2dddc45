#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     lua.sh LIBRARY EXAMPLE
#
# The LuaJIT example prints its domain's events, and ends by itself once everything is closed and given back.
set -euo pipefail
export VIRT_UV_LIBRARY=$1
example=$2

expect() {
  [[ $1 == "$2" ]] && return
  printf 'expected:\n%s\nfound:\n%s\n' "$2" "$1" >&2
  exit 1
}

expect "$(timeout 60 luajit "$example" test:///default 4 2>&1)" \
  $'test suspended\ntest resumed\ntest suspended\ntest resumed'

status=0
output=$(timeout 60 luajit "$example" no-such-driver:/// 2>&1) || status=$?
expect "$status" 1
expect "$(grep -c '^events.lua: virConnectOpen: ' <<<"$output")" 1
