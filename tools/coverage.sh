#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How much of lib/ (the core and Node's addon, in C++) the tests run, in the tree build-check/coverage:
#
#     tools/coverage.sh
#
# Prints, file by file, the lines that no test ran and those with a branch that no test took, and then the figures. It
# fails below 98% of lines or 92% of branches, and when a test fails. Branches that only an exception takes do not
# count: g++ makes one of nearly every call.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh
exec </dev/null
export LC_ALL=C.UTF-8

tree=build-check/coverage lines=98 branches=92

tools/deps.sh test

# The threads of a test count into one counter, so counting is atomic.
configure $tree -Db_coverage=true -Dchecks=true -Dnode=enabled -Dtests=enabled -Dtools=disabled -Doptimization=0 \
  -Dcpp_args=-fprofile-update=atomic
quietly ninja --quiet -j2 -C $tree
find $tree -name '*.gcda' -delete

status=0
meson test -C $tree --no-rebuild --num-processes 2 --timeout-multiplier 5 --logbase coverage \
  --no-suite model --no-suite package --no-suite tools --no-suite integration >$tree/coverage.out 2>&1 || status=$?
if [[ $status != 0 ]]; then
  grep -E ' FAIL |TIMEOUT|ERROR' $tree/coverage.out || cat $tree/coverage.out
  printf 'What they printed is in %s\n' $tree/meson-logs/coverage.txt
fi

gcovr -j 2 --root . --filter lib/ --exclude-throw-branches --exclude-unreachable-branches \
  --json $tree/coverage.json $tree
printf '\nLines that no test ran:\n\n'
gcovr --root . --add-tracefile $tree/coverage.json --txt
printf '\nLines with a branch that no test took:\n\n'
gcovr --root . --add-tracefile $tree/coverage.json --txt --branches --print-summary \
  --fail-under-line $lines --fail-under-branch $branches
exit $status
