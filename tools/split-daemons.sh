#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests virt-uv-run on the daemons that take libvirtd's place where libvirt is modular, in a Debian 13.
#
#     tools/split-daemons.sh              runs the suites run and qemu of a clean clone of HEAD there
#     tools/split-daemons.sh --install    makes the daemons, on the Debian on which it runs, in /usr/sbin
#
# Debian 13 builds virtqemud, virtnetworkd and virtproxyd, and packages none of them (debian/not-installed of its
# libvirt). So their objects are compiled from the source of Debian's libvirt, and linked to the libvirt that is
# installed, whose drivers they load.
#
# The last line has the figures, in test cases. Needs root. The next run uses the system again: delete
# split-daemons-debian-13, which is beside those of tools/platforms.sh, to have it made anew.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh
. tools/roots.sh

daemons=(virtqemud virtnetworkd virtproxyd)
# What the daemons themselves use of libvirt. The drivers are Debian's.
options=(-Ddriver_qemu=enabled -Ddriver_network=enabled -Ddriver_remote=enabled -Ddriver_libvirtd=enabled
  -Dsasl=enabled -Dlibnl=enabled -Djson_c=enabled -Dremote_default_mode=legacy -Dinit_script=systemd)

# What is linked to be a daemon, without libvirt's shared libraries, which would have to be built.
parts_of() {
  ninja -C build -t query "src/$1" | grep -oE '\S+\.(o|a)$'
}

install_daemons() {
  local version folder daemon parts
  tools/deps.sh daemons
  version=$(dpkg-query --show --showformat='${source:Version}' libvirt0)
  sed 's/^deb /deb-src /' /etc/apt/sources.list >/etc/apt/sources.list.d/sources.list
  folder=$(mktemp -d)
  cd "$folder"
  quietly apt-get update
  quietly apt-get source --tar-only --download-only "libvirt=$version"
  tar --extract --file libvirt_*.orig.tar.xz --strip-components 1
  quietly meson setup build --prefix /usr --sysconfdir /etc --localstatedir /var -Drunstatedir=/run \
    -Dauto_features=disabled "${options[@]}"
  for daemon in "${daemons[@]}"; do
    readarray -t parts < <(parts_of "$daemon")
    quietly ninja -C build "${parts[@]}"
    # shellcheck disable=SC2046
    (cd build && gcc -o "/usr/sbin/$daemon" "${parts[@]}" -l:libvirt.so.0 -l:libvirt-lxc.so.0 \
      -l:libvirt-qemu.so.0 $(pkg-config --libs gio-2.0 gnutls libtirpc libsasl2 libxml-2.0))
  done
}

test_in() {
  local root=$roots/split-daemons-debian-13
  if [[ -e $root/.made ]]; then
    put_clone "$root"
  else
    new_root debian-13 "$root"
  fi || return
  tools/in-root.sh "$root" /bin/bash -ec "cd $clone
    [[ -x /usr/sbin/${daemons[-1]} ]] || tools/split-daemons.sh --install
    tools/platform.sh run qemu"
}

case ${1-} in
  --install) install_daemons ;;
  '') tools/deps.sh platforms && locked split-daemons-debian-13 test_in ;;
  *) sed -n '4,15s/^# \?//p' "$0" >&2; exit 2 ;;
esac
