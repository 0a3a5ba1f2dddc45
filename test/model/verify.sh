#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Searches every state of a Promela model.
#
#     verify.sh MODEL sound [-D...]      passes when spin finds nothing, and has seen every state
#     verify.sh MODEL PATTERN [-D...]    passes when spin finds that, and nothing else before it
set -euo pipefail
model=$(readlink -f "$1") expected=$2
shift 2

command -v spin >/dev/null || { echo 'spin is missing: run tools/deps.sh test' >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# A model that must hold is searched for a minute, one that must not for a moment: there, compiling is what takes time.
optimise=-O0
[[ $expected == sound ]] && optimise=-O1
spin -a "$@" "$model"
gcc "$optimise" -w -DSAFETY -DCOLLAPSE -o pan pan.c
./pan -m5000000 -w22 >report || true
grep -E '^pan:|errors:|states, stored|transitions|depth' report || cat report

if [[ $expected == sound ]]; then
  grep -q 'errors: 0$' report && ! grep -qE 'Search not completed|too small|out of memory' report
else
  grep -qE "^pan:1: .*($expected)" report
fi
