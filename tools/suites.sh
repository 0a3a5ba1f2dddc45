# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds trees under build-check/ and runs tests in them, for the scripts beside this one (bash; source it with the
# repository's top as the working directory).
#
#     set_up NAME [OPTIONS...]         sets up build-check/NAME
#     build NAME                       builds all of it
#     tests PART NAME [OPTIONS...]     builds and runs the tests of build-check/NAME that these options of `meson test`
#                                      select; prints the last lines of each test that failed, and one line of figures
#     closing_line                     prints `N passed, N failed, N skipped`, in test cases, of all of these together;
#                                      fails if a test failed or none ran
. tools/tree.sh
. tools/sanitizers.sh
exec </dev/null
export LC_ALL=C.UTF-8

passed=0 failed=0 skipped=0

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
  local part=$1 tree=build-check/$2 began=$SECONDS status=0 logs names
  shift 2
  printf 'Testing: %s\n' "$part" >&2
  logs=$tree/meson-logs/$part
  rm -f "$logs"*
  meson test -C "$tree" --no-rebuild --list "$@" >"$logs.list"
  # A line is `project:suite / name`, or since Meson 1.11 or so `suite - project:name`.
  # Newer Meson (1.7 does, 1.0 does not) builds what every test needs, unless tests are selected by name.
  readarray -t names < <(sed -nE 's/^[^ ]* (\/|- [^ :]*:) ?//p' "$logs.list" | sort -u)
  # A test's limit is there to end one that hangs, not to fail one on a busy machine.
  "${fixed_addresses[@]}" meson test -C "$tree" --no-stdsplit --num-processes 2 --timeout-multiplier 3 \
    --logbase "$part" "$@" "${names[@]}" >"$logs.out" 2>&1 || status=$?
  # The number of tests that failed; or this, when one could not be built.
  [[ $status != 125 ]] || tail -n 60 "$logs.out"
  report "$part" "$began" "$(python3 tools/count-tests.py "$logs.list" "$logs"*.json)"
}

# report PART BEGAN OUTPUT: shows what OUTPUT says before its last line, and adds the figures there.
report() {
  local part=$1 began=$2 figures=$3
  sed '$d' <<<"$figures"
  figures=${figures##*$'\n'}
  printf '%s: %s (%d s)\n' "$part" "$figures" $((SECONDS - began))
  add "$figures"
}

# add FIGURES: a line `N passed, N failed, N skipped`; it refuses any other.
add() {
  [[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] || return
  passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
}

closing_line() {
  [[ $((passed + failed + skipped)) -gt 0 ]] || echo 'No test ran at all.'
  printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
  [[ $failed == 0 && $passed -gt 0 ]]
}
