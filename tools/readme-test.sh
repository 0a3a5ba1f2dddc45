#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The README's C program compiles without a warning against BUILD's library, and prints what the README says.
#
#     readme-test.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$source/tools/blocks.py" "$source/README.md" program.c >"$folder/program.c"
read -ra flags < <(pkg-config --cflags --libs libuv libvirt)
cc -std=gnu99 -Wall -Wextra -pedantic -Werror "$folder/program.c" -o "$folder/program" \
  -I"$source/include" -L"$build/lib" -Wl,-rpath,"$build/lib" -lvirt-uv "${flags[@]}"

# The program keeps running, because its connection is open. So it is killed when it has printed its line.
coproc program { exec stdbuf --output=L "$folder/program"; }
# shellcheck disable=SC2154
pid=$program_PID
read -r -t 60 line <&"${program[0]}" || line='nothing within a minute'
kill "$pid"
printf 'It printed: %s\n' "$line"
grep -qxF "$line" "$source/README.md"
