#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs one binary of the addon, built once, in several versions of Node, which npm's packages node-linux-* provide: the
# tests with Meson's label `node`, without and with io_uring in Node's libuv.
#
#     tools/node-versions.sh [MAJOR...]    18, 20, 22, 24 and 26 unless some are given
#
# Prints one line of figures for each run, and their sum in the last line. The results are in
# build-check/platforms/node.tsv, from which tools/platforms-page.py makes doc/platforms.md.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh

[[ $# -gt 0 ]] || set -- 18 20 22 24 26
tools/deps.sh test
set_up gcc -Dwerror=true -Dchecks=true -Dnode=enabled
addon=build-check/gcc/lib/node/virt_uv.node
quietly ninja --quiet -j2 -C build-check/gcc hosts-node
made=$(sha256sum "$addon")

# node_of MAJOR: the folder of its newest release's bin/node, fetched once.
node_of() {
  local folder=build-check/node/$1 machine
  machine=$(dpkg --print-architecture | sed 's/amd64/x64/')
  if [[ ! -x $folder/node_modules/node-linux-$machine/bin/node ]]; then
    mkdir -p "$folder"
    quietly npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts "node-linux-$machine@$1"
  fi
  printf '%s\n' "$PWD/$folder/node_modules/node-linux-$machine/bin"
}

mkdir -p build-check/platforms
record=build-check/platforms/node.tsv
printf 'commit\t%s\ndate\t%s\n' "$(git rev-parse --short HEAD)" "$(date --utc +%F)" >"$record"
for major; do
  bin=$(node_of "$major")
  versions=$("$bin/node" --print 'process.version + "\t" + process.versions.uv')
  for uring in 0 1; do
    p=$passed f=$failed s=$skipped
    UV_USE_IO_URING=$uring PATH=$bin:$PATH tests "node-$major-io_uring-$uring" gcc --suite node
    printf 'node\t%s\t%s\t%d\t%d\t%d\n' "$versions" "$uring" \
      $((passed - p)) $((failed - f)) $((skipped - s)) >>"$record"
  done
done
if [[ $(sha256sum "$addon") != "$made" ]]; then
  echo 'The addon was built again on the way.'
  failed=$((failed + 1))
fi
closing_line
