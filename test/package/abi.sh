#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program that was built with the headers of a release runs with this library: no function has gone, none takes
# or returns something else, no struct has changed.
#
#     abi.sh LIBRARY DUMP SUPPRESSIONS
#
# At a release a dump is made, of a build with gcc for amd64, and meson.build names the release besides the earlier ones
# with this soversion:
#
#     abidw --exported-interfaces-only --drop-undefined-syms --no-elf-needed --no-corpus-path --no-comp-dir-path \
#       --no-show-locs --out-file test/package/virt-uv-VERSION.abi LIBRARY
set -u
abidiff --no-added-syms --suppressions "$3" "$2" "$1"
