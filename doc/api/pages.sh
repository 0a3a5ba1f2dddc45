#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes the reference of the headers: a manual page for each public function and type (section 3), an overview (section
# 7), and HTML, by Doxygen.
#
#     pages.sh DOXYFILE HEADERS VERSION OUTPUT     makes OUTPUT/man3, OUTPUT/man7 and OUTPUT/html
set -euo pipefail
doxyfile=$1 headers=$2 version=$3 output=$4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$output"/man3 "$output"/man7 "$output"/html
mkdir -p "$output"/man3 "$output"/man7

doxygen - <<<"$(<"$doxyfile")
PROJECT_NUMBER = $version
INPUT = $headers
INPUT_FILTER = $(dirname "$(readlink -f "$0")")/group_functions.py
STRIP_FROM_PATH = $headers
STRIP_FROM_INC_PATH = $headers/..
OUTPUT_DIRECTORY = $work"
cp -r "$work"/html "$output"
cp "$work"/man/man3/virt_uv*.3 "$work"/man/man3/virt-uv.h.3 "$output"/man3
mv "$work"/man/man3/virt-uv.3 "$output"/man7/virt-uv.7

# The types that have no page of their own are in the header's.
sed -nE 's/^typedef [a-z]+ \(\*(\w+)\).*/\1/p; s/^typedef enum (\w+).*/\1/p' "$headers"/virt-uv.h |
  while read -r type; do
    echo '.so man3/virt-uv.h.3' >"$output/man3/$type.3"
  done

# Doxygen writes quotes as ', which is a command of roff's at the beginning of a line.
# Its font for code, C, is unknown to groff 1.23 on a terminal.
sed -i "s/\\\\fC/\\\\fB/g; s/^'/\\\\\&'/" "$output"/man[37]/*

# The date of the build would make each build another one.
sed -i -E "s/^(\.TH \S+ )[37] \"[^\"]*\" \"[^\"]*\"/\13 \"virt-uv $version\"/" "$output"/man3/*.3
sed -i -E "s/^(\.TH \S+ )[37] \"[^\"]*\" \"[^\"]*\"/\17 \"virt-uv $version\"/" "$output"/man7/*.7
