#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each public header compiles alone, without a warning: the C++ ones under g++ and clang++ as C++17 and C++20, the C one
# also under gcc and clang as C99. A compiler that is missing is a failure: what was not compiled was not tested.
#
#     headers.sh INCLUDE_DIR SCRATCH_DIR [CFLAGS...]

set -u
include=$1
scratch=$2
shift 2
failed=0
compiled=0

compile() { # COMPILER STANDARD HEADER LANGUAGE CFLAGS...
  compiler=$1 standard=$2 header=$3 language=$4
  shift 4
  unit=$(mktemp "$scratch/header.XXXXXX")
  # Twice: a header must bear to be included again.
  printf '#include <virt-uv/%s>\n#include <virt-uv/%s>\n' "$header" "$header" > "$unit"
  if "$compiler" "-std=$standard" -Wall -Wextra -Wpedantic -Werror -I"$include" "$@" -x "$language" -fsyntax-only \
    "$unit"; then
    compiled=$((compiled + 1))
  else
    echo "headers.sh: $compiler -std=$standard does not take <virt-uv/$header> alone" >&2
    failed=$((failed + 1))
  fi
  rm -f "$unit"
}

for path in "$include"/virt-uv/*.hpp "$include"/virt-uv/*.h; do
  for compiler in g++ clang++; do
    for standard in c++17 c++20; do
      compile "$compiler" "$standard" "${path##*/}" c++ "$@"
    done
  done
done
for path in "$include"/virt-uv/*.h; do
  for compiler in gcc clang; do
    # libuv's own header needs POSIX's types, which strict C99 hides.
    compile "$compiler" c99 "${path##*/}" c -D_POSIX_C_SOURCE=200809L "$@"
  done
done

echo "headers.sh: $compiled compiled, $failed failed"
[ "$failed" -eq 0 ] && [ "$compiled" -gt 0 ]
