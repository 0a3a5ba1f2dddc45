#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What tools/platforms.sh runs in each of its systems. It runs on any Debian.
#
#     tools/platform.sh            tools/demo.sh; every suite, by g++; everything compiled, and unit tests, by clang++
#     tools/platform.sh SUITE...   these suites, built by g++
#
# Warnings are errors, Meson's too. The results are in build-check/platform.tsv, in fields between tabs: lines of
# `version NAME VERSION` and `suite NAME PASSED FAILED SKIPPED SECONDS`, and a last line `end`.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh

mkdir -p build-check
record=build-check/platform.tsv
: >"$record"

write() {
  local IFS=$'\t'
  printf '%s\n' "$*" >>"$record"
}

# recorded PART COMMAND...: records what COMMAND adds to the figures as PART's.
recorded() {
  local part=$1 p=$passed f=$failed s=$skipped began=$SECONDS
  shift
  "$@" || true
  write suite "$part" $((passed - p)) $((failed - f)) $((skipped - s)) $((SECONDS - began))
}

# The first command of the README: it installs what it needs.
demo() {
  if ./tools/demo.sh | tee build-check/demo.out | grep "'lifecycle' for domain 'test': Started Booted" >/dev/null; then
    passed=$((passed + 1))
  else
    cat build-check/demo.out
    failed=$((failed + 1))
  fi
}

versions() {
  write version Debian "$(cat /etc/debian_version)"
  write version architecture "$(dpkg --print-architecture)"
  write version kernel "$(uname -r)"
  write version g++ "$(g++ -dumpfullversion)"
  write version clang "$(clang -dumpversion)"
  write version Meson "$(meson --version)"
  write version Node "$(node --version)"
  for module in libvirt libuv fmt catch2; do
    write version "$module" "$(pkg-config --modversion "$module")"
  done
}

# Without optimisation, which saves half of the time. check.sh shows the optimiser's warnings.
with_gcc() {
  set_up platform -Dwerror=true -Dchecks=true -Dnode=enabled -Doptimization=0 --fatal-meson-warnings && build platform
}

with_clang() {
  CC=clang CXX=clang++ set_up platform-clang -Dwerror=true -Dnode=enabled -Doptimization=0 --fatal-meson-warnings &&
    build platform-clang && tests clang platform-clang --suite unit
}

# A suite is the folder of its tests, which is the first that a test names.
all_suites() {
  meson test -C build-check/platform --no-rebuild --list | sed -nE 's/^([^: ]*:)?([^ +]*).* (\/|-) .*/\2/p' | sort -u
}

everything=$(($# == 0))
((everything)) && recorded demo demo
tools/deps.sh test
versions
if with_gcc; then
  ((everything)) && readarray -t suites < <(all_suites) || suites=("$@")
  for suite in "${suites[@]}"; do
    recorded "$suite" tests "$suite" platform --suite "$suite"
  done
fi
((everything)) && recorded clang with_clang
printf 'end\n' >>"$record"
closing_line
