#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     debian-node.sh FOLDER ARGUMENTS...
#
# Runs the Node that fetch-debian-node.sh unpacked into FOLDER. It opens parts of itself in /usr/share/nodejs by
# absolute path; so it gets a mount namespace in which its own /usr/share lies over the machine's.
set -eu
folder=$1
shift
as_root=--map-root-user
[ "$(id -u)" = 0 ] && as_root=
# shellcheck disable=SC2016,SC2086
exec unshare --mount $as_root sh -euc '
  folder=$1
  shift
  mount -t overlay overlay -o "lowerdir=$folder/usr/share:/usr/share" /usr/share
  export LD_LIBRARY_PATH=$(echo "$folder"/usr/lib/*-linux-gnu*)
  exec "$folder/usr/bin/node" "$@"
' sh "$folder" "$@"
