#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds everything and runs every test, starting from a bare Debian 12, in six parts:
#
#     lint      the checks of tools/lint.sh, which build nothing
#     gcc       g++, warnings are errors, run-time checks on: every test that `meson test --list` has
#     clang     clang++, warnings are errors: everything compiles; the suites unit and api
#     asan      AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
#     tsan      ThreadSanitizer
#     valgrind  memcheck on the gcc tree, on a small part of each test
#
# A part ends with one line of figures, after the last lines of each test that failed. The last line of the output is
# `N passed, N failed, N skipped`, in test cases. The script fails if a test failed or none ran. The build trees are in
# build-check/ and are used again by the next run. tools/count-tests.py counts.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh
. tools/sanitizers.sh
exec </dev/null
export LC_ALL=C.UTF-8

passed=0 failed=0 skipped=0

# set_up NAME [OPTIONS...]: sets up build-check/NAME.
# build NAME: builds all of it.
# tests PART NAME [OPTIONS...]: builds what those tests of build-check/NAME need that these options of `meson test`
# choose, and runs them.
set_up() {
  local name=$1
  shift
  printf 'Building build-check/%s\n' "$name" >&2
  configure "build-check/$name" "$@" || does_not_build "$name"
}

build() {
  quietly ninja --quiet -j2 -C "build-check/$1" || does_not_build "$1"
}

does_not_build() {
  printf '%s: does not build\n' "$1"
  failed=$((failed + 1))
  return 1
}

tests() {
  local part=$1 tree=build-check/$2 began=$SECONDS status=0 logs
  shift 2
  printf 'Testing: %s\n' "$part" >&2
  logs=$tree/meson-logs/$part
  rm -f "$logs"*
  meson test -C "$tree" --no-rebuild --list "$@" >"$logs.list"
  # A test's limit is there to end one that hangs, not to fail one on a busy machine.
  "${fixed_addresses[@]}" meson test -C "$tree" --no-stdsplit --num-processes 2 --timeout-multiplier 3 \
    --logbase "$part" "$@" >"$logs.out" 2>&1 || status=$?
  # The number of tests that failed; or this, when one could not be built.
  [[ $status != 125 ]] || tail -n 60 "$logs.out"
  add "$part" "$began" "$(python3 tools/count-tests.py "$logs.list" "$logs"*.json)"
}

# add PART BEGAN OUTPUT: shows what OUTPUT says before its last line, and adds the figures there.
add() {
  local part=$1 began=$2 figures=$3
  sed '$d' <<<"$figures"
  figures=${figures##*$'\n'}
  printf '%s: %s (%d s)\n' "$part" "$figures" $((SECONDS - began))
  [[ $figures =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]
  passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
}

tools/deps.sh test

add lint "$SECONDS" "$(tools/lint.sh)"
if set_up gcc -Dwerror=true -Dchecks=true -Dnode=enabled && build gcc; then
  tests gcc gcc
  tests valgrind gcc --setup valgrind --timeout-multiplier 30 --no-suite foreign \
    --suite unit --suite api --suite conformance --suite cpp --suite stress --suite fault --suite fuzz
fi
if CC=clang CXX=clang++ set_up clang -Dwerror=true -Dnode=enabled -Doptimization=0 && build clang; then
  tests clang clang --suite unit --suite api
fi
if set_up asan -Db_sanitize=address,undefined -Dnode=disabled -Doptimization=1; then
  tests asan asan --suite unit --suite api --suite conformance --suite cpp --suite stress --suite fault --suite fuzz
fi
if set_up tsan -Db_sanitize=thread -Dnode=disabled -Doptimization=1; then
  tests tsan tsan --suite unit --suite api --suite stress --suite sanitize
fi

[[ $((passed + failed + skipped)) -gt 0 ]] || echo 'No test ran at all.'
printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[[ $failed == 0 && $passed -gt 0 ]]
