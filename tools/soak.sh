#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The long form of the tests of threads, lifetimes and faults; tools/check.sh runs the short form. In build-check/:
#
#     tools/soak.sh            all parts; some hours on two cores
#     tools/soak.sh PART...    some of these:
#
#         stress      millions of operations by eight threads, millions of flips, every fault
#         asan        the same under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
#         tsan        the same under ThreadSanitizer
#         memcheck    a million calls out of callbacks, under valgrind
#         libvirtd    tens of thousands of connections to a real libvirtd, which is killed and stopped
#         run         a thousand connections to a libvirtd under virt-uv-run, and to one on its own loop; thousands
#                     that come and go
#         hosts       1,024 hosts in one virt-uv-events, without and with a hundred dead ones
#         events      faults all around virt-uv-events, in rounds; each event has come, or its loss is announced
#         fuzz        a million inputs, by libFuzzer, guided by the coverage of the core
#         coverage    tools/coverage.sh: how much of lib/ the tests run
#         mutation    test/mutation/mutate.py: do the tests notice a change of a line of lib/?
#
# VIRT_UV_SOAK is a factor for all counts: 0.01 for a trial, 10 for a night. Each part ends with its figures. The first
# part that fails ends the script.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh
. tools/sanitizers.sh
exec </dev/null
export LC_ALL=C.UTF-8

times() { awk -v factor="${VIRT_UV_SOAK:-1}" -v count="$1" 'BEGIN { printf "%.15g\n", factor * count }'; }

# suites TREE COUNT ARGUMENTS...: runs those tests, COUNT times as much of each as check.sh runs, without a time limit.
suites() {
  local tree=build-check/$1 status=0
  export VIRT_UV_STRESS
  VIRT_UV_STRESS=$(times "$2")
  shift 2
  quietly ninja --quiet -j2 -C "$tree"
  "${fixed_addresses[@]}" meson test -C "$tree" --no-rebuild --num-processes 1 --timeout-multiplier 0 --logbase soak \
    "$@" >"$tree/soak.out" 2>&1 || status=$?
  [[ $status == 0 ]] || cat "$tree/meson-logs/soak.txt"
  grep -hE ' OK | FAIL |SKIP|TIMEOUT' "$tree/soak.out"
  grep -hE '^ +[0-9]+ (operations|flips)|made to fail|[0-9] connections|^[0-9]+ (programs|rounds)' \
    "$tree/meson-logs/soak.txt" || true
  return "$status"
}

stress() {
  configure build-check/gcc -Dwerror=true -Dchecks=true -Dnode=enabled
  suites gcc 100 --suite stress --suite fault --suite fuzz
}

asan() {
  configure build-check/asan -Db_sanitize=address,undefined -Dnode=disabled -Doptimization=1
  suites asan 20 --suite stress --suite fault --suite fuzz
}

tsan() {
  configure build-check/tsan -Db_sanitize=thread -Dnode=disabled -Doptimization=1
  suites tsan 10 --suite stress
}

memcheck() {
  configure build-check/gcc -Dwerror=true -Dchecks=true -Dnode=enabled
  suites gcc 20 --wrap 'valgrind --quiet --error-exitcode=99 --leak-check=full --fair-sched=yes' reentry
}

libvirtd() {
  configure build-check/gcc -Dwerror=true -Dchecks=true -Dnode=enabled
  suites gcc 20 stress-libvirtd worker-calls
}

run() {
  configure build-check/gcc -Dwerror=true -Dchecks=true -Dnode=enabled
  suites gcc 4 programs
  suites gcc 40 rounds
}

events() {
  configure build-check/gcc -Dwerror=true -Dchecks=true -Dnode=enabled
  suites gcc 200 accounted
}

# The number of hosts is the claim, so VIRT_UV_SOAK does not change it.
hosts() {
  configure build-check/gcc -Dwerror=true -Dchecks=true -Dnode=enabled
  VIRT_UV_HOSTS=1024,100 suites gcc 1 many_hosts
  local dead
  for dead in 0 100; do
    PYTHONPATH=test/support VIRT_UV_EVENTS=build-check/gcc/tools/events/virt-uv-events \
      python3 -B test/integration/many_hosts.py --dead $dead
  done
}

fuzz() {
  local tree=build-check/fuzz
  CC=clang CXX=clang++ configure $tree -Db_sanitize=address,undefined -Db_lundef=false -Dchecks=true \
    -Dcpp_args=-fsanitize=fuzzer-no-link -Dnode=disabled
  quietly ninja --quiet -j2 -C $tree test/fuzz/fuzz
  mkdir -p $tree/corpus
  $tree/test/fuzz/fuzz -runs="$(times 1000000)" -max_len=256 -print_final_stats=1 -artifact_prefix=$tree/ \
    $tree/corpus test/fuzz/corpus >$tree/soak.out 2>&1 || { tail -n 60 $tree/soak.out; return 1; }
  grep -hE 'DONE|Done|stat::(number_of_executed_units|average_exec_per_sec)' $tree/soak.out
}

coverage() { tools/coverage.sh; }

mutation() { test/mutation/mutate.py --number "$(times 320 | awk '{ print int($1 + 0.999) }')"; }

[[ $# -gt 0 ]] || set -- stress asan tsan memcheck libvirtd run hosts events fuzz coverage mutation
for part; do
  [[ $part =~ ^(stress|asan|tsan|memcheck|libvirtd|run|hosts|events|fuzz|coverage|mutation)$ ]] && continue
  sed -n '4,24s/^# \?//p' "$0"
  exit 2
done
tools/deps.sh test
for part; do
  printf '%s\n' "$part" >&2
  began=$SECONDS
  "$part"
  printf '%s: %d s\n' "$part" $((SECONDS - began))
done
