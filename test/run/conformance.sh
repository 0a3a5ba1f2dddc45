#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program of test/conformance as the scripts there start it, which runs the loop `run` under virt-uv-run:
#
#     VIRT_UV_RUN_PROGRAM=VIRT-UV-RUN VIRT_UV_CONFORMANCE=PROGRAM conformance.sh LOOP [OPTIONS]
set -eu
[ "$1" = run ] && exec "$VIRT_UV_RUN_PROGRAM" "$VIRT_UV_CONFORMANCE" "$@"
exec "$VIRT_UV_CONFORMANCE" "$@"
