#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks the sources without building them:
#
#     tools/lint.sh            all checks
#     tools/lint.sh CHECK...   of these:
#
#         format      clang-format would change no C or C++ file
#         includes    the includes of lib/ point one way (tools/include-graph.py)
#         width       no line has more than 120 columns
#         spdx        each file names its licence in its first lines
#         shell       shellcheck
#         version     the files that have to repeat the version say what virt-uv.h says
#         spelling    codespell; tools/codespell-ignore.txt lists the words that it takes for mistakes
#         tidy        clang-tidy on lib/, as .clang-tidy says
#
# A check prints what is wrong as `file:line: what`; one that prints anything, or ends with an error, has failed. All
# run, on the files that git tracks. The last line is `N passed, N failed, N skipped`, in checks.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh
exec </dev/null
export LC_ALL=C.UTF-8

# tracked [PATTERNS...]: the tracked files that match one of these (all of them without one), each ended by a NUL.
tracked() { git ls-files -z -- "$@"; }

# written: the tracked files that are written by hand and can have a comment. JSON cannot; the licence, pictures, the
# dumps of the ABI and the fuzzer's inputs are not ours to wrap; dpkg allows one line in source/format.
written() {
  tracked . ':!COPYING' ':!*.json' ':!*.svg' ':!*.png' ':!*.abi' ':!test/fuzz/corpus' ':!tools/debian/source/format'
}

format() { tracked '*.c' '*.cpp' '*.h' '*.hpp' | xargs -0 clang-format --dry-run -Werror; }

includes() { tools/include-graph.py lib; }

# doc/benchmark.md: the rows of its tables are written by tools/bench/page.py.
width() {
  { written | xargs -0 grep -HnE '.{121}' | grep -v '^doc/benchmark.md:[0-9]*:|' || true; } |
    sed -E 's/^([^:]+:[0-9]+:).*/\1 more than 120 columns/'
}

spdx() {
  written | xargs -0 awk '
    FNR > 5 { nextfile }
    /SPDX-License-Identifier: LGPL-2\.1-or-later/ { named[FILENAME] }
    END { for (i = 1; i < ARGC; i++) if (!(ARGV[i] in named)) print ARGV[i] ":1: no SPDX line in the first five" }'
}

shell() {
  written | xargs -0 awk '
    FNR > 1 { nextfile }
    FILENAME ~ /\.sh$/ || /^#!.*\/(env +)?(ba|da)?sh( |$)/ { print FILENAME }' |
    xargs -d '\n' shellcheck --external-sources --format=gcc
}

# repeats FILE LINE: a line of the file is this one, an extended regular expression.
repeats() { grep -qxE -e "$2" "$1" || printf '%s:1: no line of it is: %s\n' "$1" "$2"; }

version() {
  local version minor
  version=$(tools/version.sh)
  minor=${version%.*} version=${version//./\\.}
  repeats lib/node/package.json "  \"version\": \"$version\","
  repeats lib/python/pyproject.toml "version = \"$version\""
  repeats lib/perl/Sys/Virt/UV/EventImpl.pm "our .VERSION = '$version';"
  repeats NEWS.md "## $version \([0-9]{4}-[0-9]{2}-[0-9]{2}\)"
  repeats doc/installing.md "revision = v$version"
  repeats doc/installing.md "find_package\(virt-uv ${minor//./\\.} REQUIRED\)"
}

spelling() { written | xargs -0 codespell --ignore-words tools/codespell-ignore.txt; }

# The tree gives the compiler's options, and nothing is built in it.
tidy() {
  CC=clang CXX=clang++ configure build-check/lint -Dnode=enabled || return
  local headers
  # Node's headers are in a build tree only once they are copied there.
  headers=$(ninja -C build-check/lint -t targets all | sed -nE 's|^(lib/node/[a-z_]+\.h):.*|\1|p')
  # shellcheck disable=SC2086
  quietly ninja --quiet -C build-check/lint $headers || return
  export -f quietly
  # shellcheck disable=SC2016
  tracked 'lib/*.cpp' |
    xargs -0 -P2 -I{} bash -c 'quietly clang-tidy -p build-check/lint --quiet "$1"' bash {} 2>&1 |
    sed -E "s|^$PWD/(build-check/lint/../../)?||"
}

checks=(format includes width spdx shell version spelling tidy)
[[ $# -gt 0 ]] || set -- "${checks[@]}"
for check; do
  [[ " ${checks[*]} " == *" $check "* ]] || { sed -n '4,20s/^# \?//p' "$0"; exit 2; }
done
tools/deps.sh test

passed=0 failed=0
for check; do
  status=0
  output=$("$check" 2>&1) || status=$?
  if [[ $status == 0 && -z $output ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '%s\n---- lint: %s failed\n' "${output:-exit status $status, and no word of why}" "$check"
  fi
done
printf '%s passed, %s failed, 0 skipped\n' "$passed" "$failed"
[[ $failed == 0 ]]
