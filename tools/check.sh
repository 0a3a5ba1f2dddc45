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
. tools/suites.sh

tools/deps.sh test

report lint "$SECONDS" "$(tools/lint.sh)"
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

closing_line
