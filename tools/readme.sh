#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Does what the README and the pages of doc/ tell their readers to do, word for word and in order, in bare Debians:
# every command and every program that they show (tools/run-pages.py).
#
#     tools/readme.sh [NAME]      debian-12 unless another is given: see tools/roots.sh
#
# The last line is `N passed, N failed, N skipped`, in blocks of the pages. Needs root. It takes about ten minutes.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh
. tools/roots.sh

name=${1-debian-12}
[[ $# -le 1 && -n ${release[$name]-} ]] || { sed -n '4,9s/^# \?//p' "$0" >&2; exit 2; }

# pages PAGE...: in one root, from a bare one on.
pages() {
  local root=$roots/pages-$name log=build-check/pages.out
  new_root "$name" "$root" || return
  tools/run-pages.py "$root" "$clone" "$@" | tee "$log" | sed '$d' || true
  keep_packages "$name" "$root"
  rm -rf --one-file-system "$root"
  add "$(tail -n 1 "$log")"
}

mkdir -p build-check
tools/deps.sh platforms
[[ -z $(git status --porcelain) ]] || echo 'What is not committed is not tested.' >&2
locked "pages-$name" pages README.md doc/getting-started.md doc/events-at-scale.md doc/troubleshooting.md ||
  failed=$((failed + 1))
locked "pages-$name" pages doc/installing.md || failed=$((failed + 1))
closing_line
