# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Settings for programs that were built with sanitizers, for the other scripts of this folder (bash; source it).

# The sanitizers of g++ 12 do not find room for their shadow memory if the kernel randomises addresses with too many
# bits. This prefix goes before the command.
# shellcheck disable=SC2034
fixed_addresses=()
setarch --addr-no-randomize true 2>/dev/null && fixed_addresses=(setarch --addr-no-randomize)

# By default UBSan only prints and continues. A finding of any sanitizer must fail the test.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=second_deadlock_stack=1:suppressions=$PWD/test/tsan.supp
