#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds and tests a clean clone of this repository's HEAD on other systems, folders that debootstrap makes once.
#
#     tools/platforms.sh [--suites SUITE,...] [NAME...]
#
#     NAME     debian-12, debian-13, debian-sid, debian-12-i386; all of them unless some are given
#     SUITE    a folder of test/; unless some are given, all that tools/platform.sh runs
#
# stdout gets one line of figures for each system, and their sum in the last line; all other output goes to stderr. The
# script fails if a test failed. The results are in build-check/platforms/NAME.tsv, from which tools/platforms-page.py
# makes doc/platforms.md.
#
# Needs root. The systems are in VIRT_UV_ROOTS, or else in ~/.cache/virt-uv/roots. The next run uses them again, from
# any clone; delete one to have it made anew. Each takes about 4 GB.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh
. tools/roots.sh

usage() {
  sed -n '4,17s/^# \?//p' "$0" >&2
  exit 2
}

suites=()
if [[ ${1-} == --suites ]]; then
  [[ $# -ge 2 ]] || usage
  IFS=, read -ra suites <<<"$2"
  shift 2
fi
[[ $# -gt 0 ]] || set -- debian-12 debian-13 debian-sid debian-12-i386
for name; do [[ -n ${release[$name]-} ]] || usage; done

# test_in NAME: what tools/platform.sh found is in build-check/platforms/NAME.tsv.
test_in() {
  local root=$roots/$1 record=build-check/platforms/$1.tsv
  if [[ -e $root/.made ]]; then
    put_clone "$root"
  else
    new_root "$1" "$root"
  fi || return
  printf 'platform\t%s\ncommit\t%s\ndate\t%s\n' "$1" "$(git rev-parse --short HEAD)" "$(date --utc +%F)" >"$record"
  tools/in-root.sh "$root" "$clone/tools/platform.sh" "${suites[@]}" >&2 || true
  cat "$root$clone/build-check/platform.tsv" >>"$record" && tail -n 1 "$record" | grep -qx end
}

sum_up() {
  local figures
  figures=$(awk -F '\t' '$1 == "suite" { p += $3; f += $4; s += $5 }
    END { printf "%d passed, %d failed, %d skipped", p, f, s }' "build-check/platforms/$1.tsv")
  add "$figures"
  printf '%s: %s (%d s)\n' "$1" "$figures" "$2"
}

tools/deps.sh platforms
[[ -z $(git status --porcelain) ]] || echo 'What is not committed is not tested.' >&2
mkdir -p build-check/platforms
for name; do
  printf 'Testing on %s\n' "$name" >&2
  began=$SECONDS
  if locked "$name" test_in "$name"; then
    sum_up "$name" $((SECONDS - began))
  else
    printf '%s: did not come to its end\n' "$name"
    failed=$((failed + 1))
  fi
done
closing_line
