#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     tools/in-root.sh ROOT COMMAND...
#
# Runs a command in another Debian, a folder that debootstrap made. Its processes, mounts, /run and /tmp are private, so
# nothing of it is left when it ends, or when this script is killed. The network, /dev and /sys are the machine's. What
# the machine needs to reach package registries is passed on: proxies, and the certificates in NODE_EXTRA_CA_CERTS.
set -euo pipefail
root=$1
shift

if [[ $$ != 1 ]]; then
  exec unshare --mount --pid --fork --kill-child "$(readlink -f "$0")" "$root" "$@"
fi

mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/lock"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
cat /etc/resolv.conf >"$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"

environment=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb)
for name in http_proxy https_proxy no_proxy; do
  [[ -z ${!name-} ]] || environment+=("$name=${!name}")
done
if [[ -n ${NODE_EXTRA_CA_CERTS-} ]]; then
  cp "$NODE_EXTRA_CA_CERTS" "$root/run/certificates.pem"
  environment+=(NODE_EXTRA_CA_CERTS=/run/certificates.pem)
fi

# What is built in a 32 bit root is to find a 32 bit machine.
personality=()
[[ $(chroot "$root" dpkg --print-architecture) != i386 ]] || personality=(setarch i686)
exec "${personality[@]}" env --ignore-environment "${environment[@]}" chroot "$root" "$@"
