#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the Debian packages of HEAD by tools/deb.sh in bare Debians, has lintian judge them, and runs their tests
# (tools/debian/tests) by autopkgtest, in a bare Debian again, in which apt-get installs them.
#
#     tools/deb-test.sh [NAME...]     debian-12 and debian-13 unless some are given: see tools/roots.sh
#
# The packages are left in build-check/deb/NAME. The last line is `N passed, N failed, N skipped`, in tests; the build
# is one, and so is lintian. Needs root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh
. tools/roots.sh

[[ $# -gt 0 ]] || set -- debian-12 debian-13
for name; do [[ -n ${release[$name]-} ]] || { sed -n '4,11s/^# \?//p' "$0" >&2; exit 2; }; done

# What lintian would say of these is about an upload to Debian's archive. Whoever makes one has an address, and the
# number of the bug in which it was announced.
untagged=bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs

# in_new_root NAME COMMANDS: in the clone, as root; build-deb/ there is build-check/deb/NAME before and after.
in_new_root() {
  local name=$1 root=$roots/deb-$1 packages=build-check/deb/$1 status=0
  new_root "$name" "$root" || return
  cp -r "$packages" "$root$clone/build-deb"
  tools/in-root.sh "$root" /bin/bash -ec "cd $clone; . tools/tree.sh; $2" >&2 || status=$?
  cp -r "$root$clone/build-deb/." "$packages" || status=1
  keep_packages "$name" "$root"
  rm -rf --one-file-system "$root"
  return "$status"
}

# passes NAME TEST COMMANDS: a test that is one.
passes() {
  if in_new_root "$1" "$3"; then
    passed=$((passed + 1))
  else
    printf '%s: %s failed\n' "$1" "$2"
    failed=$((failed + 1))
  fi
}

# autopkgtest's verdicts are lines of `TEST PASS`, `TEST FAIL why`.
count_verdicts() {
  local verdicts=build-check/deb/$1/verdicts
  sed -E "s/^/$1: /" "$verdicts" || failed=$((failed + 1))
  add "$(awk '$2 == "PASS" { p++ } $2 == "SKIP" { s++ } $2 != "PASS" && $2 != "SKIP" { f++ }
    END { printf "%d passed, %d failed, %d skipped", p, f, s }' "$verdicts")"
}

check_packages() {
  rm -rf "build-check/deb/$1"
  mkdir -p "build-check/deb/$1"
  passes "$1" build 'tools/deb.sh'
  passes "$1" lintian "tools/deps.sh deb-test; lintian --version
    lintian --fail-on error,warning --allow-root --tag-display-limit 0 --suppress-tags $untagged build-deb/*.changes"
  in_new_root "$1" 'tools/deps.sh deb-test
    autopkgtest --summary-file build-deb/verdicts build-deb/*.changes -- null' || true
  count_verdicts "$1"
}

tools/deps.sh platforms
[[ -z $(git status --porcelain) ]] || echo 'What is not committed is not tested.' >&2
for name; do
  locked "deb-$name" check_packages "$name"
done
closing_line
