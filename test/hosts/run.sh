#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a program of this suite with what it needs from npm and Debian, which the first to come fetches into BUILD:
#
#     run.sh BUILD ADDON_DIR node TEST...      Node's test runner, with the machine's Node
#     run.sh BUILD ADDON_DIR debian TEST...    the same with Debian's own Node: the machine's if it is, or one unpacked
#                                              in BUILD/debian
#
# npm's packages lie in BUILD/node_modules, and the package under test among them as a link to ADDON_DIR.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$1 addon=$2 host=$3
shift 3

fetch_packages() {
  cmp -s "$here/package-lock.json" "$build/node_modules/.fetched-for" && return
  cp "$here/package.json" "$here/package-lock.json" "$build/"
  (cd "$build" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$here/package-lock.json" "$build/node_modules/.fetched-for"
}

mkdir -p "$build"
exec {lock}>"$build/.lock"
flock "$lock"
fetch_packages
ln -sfn "$addon" "$build/node_modules/virt-uv"
runner=(node)
if [[ $host == debian && $(ldd "$(command -v node)") != *libnode.so* ]]; then
  "$here/fetch-debian-node.sh" "$build/debian"
  runner=("$here/debian-node.sh" "$build/debian")
fi
exec {lock}>&-

export VIRT_UV_HOSTS_BUILD=$build NODE_PATH=$build/node_modules
exec "${runner[@]}" --test "$@"
