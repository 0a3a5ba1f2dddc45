#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs virt-uv-bench of a clean clone of this repository's HEAD on another Debian, and prints its figures as JSON, for
# tools/bench/page.py or daemon_page.py. All other output goes to stderr.
#
#     tools/bench/platform.sh NAME [ARGUMENT...]
#
#     NAME        a system as tools/platforms.sh has them, which keeps them: debian-13, debian-sid, ...
#     ARGUMENT    of virt-uv-bench: workloads, options, or `daemon`; --all unless some are given
#
# A second run of the same commit builds nothing, so the machine can be left alone meanwhile. Needs root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tools/suites.sh
. tools/roots.sh

if [[ $# -eq 0 || -z ${release[$1]-} ]]; then
  sed -n '4,12s/^# \?//p' "$0" >&2
  exit 2
fi
name=$1
shift
[[ $# -gt 0 ]] || set -- --all

commit_in() {
  git -C "$1" rev-parse HEAD
}

measure_in() {
  local root=$roots/$1
  shift
  if [[ ! -e $root/.made ]]; then
    new_root "$name" "$root"
  elif [[ $(commit_in "$root$clone") != "$(commit_in .)" ]]; then
    put_clone "$root"
  fi || return
  # shellcheck disable=SC2016
  tools/in-root.sh "$root" bash -c '
    set -euo pipefail
    cd "$1" && shift
    tools/deps.sh test
    [[ -e build-bench/build.ninja ]] || meson setup build-bench >&2
    cd build-bench
    ninja tools/bench/workloads-program tools/events/virt-uv-events tools/run/virt-uv-run \
      tools/run/libvirt-uv-{preload,run}.so >&2
    exec tools/bench/virt-uv-bench "$@" --json -' measure "$clone" "$@"
}

tools/deps.sh platforms
locked "$name" measure_in "$name" "$@"
