#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     tools/version.sh [HEADER]
#
# Prints the version, MAJOR.MINOR.MICRO. The one place that holds it is the macros of virt-uv.h, which a program reads
# without anything else of the project. Meson reads it from here; `tools/lint.sh version` compares the files that have
# to repeat it.
set -eu
header=${1:-$(dirname "$0")/../include/virt-uv/virt-uv.h}
sed -n 's/^#define VIRT_UV_VERSION_M[A-Z]* \([0-9]*\).*/\1/p' "$header" | paste -s -d .
