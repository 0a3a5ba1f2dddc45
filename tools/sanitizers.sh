# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How programs are run that were built with sanitizers, for the scripts beside this one (bash; source it).

# g++ 12's sanitizers find no room for their shadow memory where the kernel randomises addresses widely. This goes before
# the command.
# shellcheck disable=SC2034
fixed_addresses=()
setarch --addr-no-randomize true 2>/dev/null && fixed_addresses=(setarch --addr-no-randomize)

# UBSan would only print and go on; a program that a sanitizer stops has failed.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=second_deadlock_stack=1
