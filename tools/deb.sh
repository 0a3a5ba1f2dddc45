#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the Debian packages of this source tree, as it is, for the Debian that runs this (12 or later), and puts them
# into build-deb/: libvirt-uv0, libvirt-uv-dev, virt-uv-tools, node-virt-uv, python3-virt-uv, libvirt-uv-perl. It
# installs what the build needs.
#
#     tools/deb.sh
#
# The packaging is tools/debian. Its changelog is made here: the version is the library's, the date the last commit's or
# the archive's. tools/deb-test.sh builds, checks and tries the packages in bare roots.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh

tools/deps.sh deb
version=$(tools/version.sh)
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
source=build-deb/virt-uv-$version
rm -rf build-deb
mkdir -p "$source"
tar --create --exclude='./build*' --exclude=./.git --exclude=node_modules . | tar --extract --directory "$source"
tar --create --xz --directory build-deb --file "build-deb/virt-uv_$version.orig.tar.xz" "virt-uv-$version"

cp -r tools/debian "$source/debian"
cat >"$source/debian/changelog" <<END
virt-uv ($version-1) ${suite:-unstable}; urgency=medium

  * Release $version: see NEWS.md.

 -- $(sed -n 's/^Maintainer: //p' tools/debian/control)  $(date --utc --rfc-email --reference NEWS.md)
END

cd "$source"
as_root=()
[[ $(id -u) == 0 ]] || as_root=(sudo)
quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get build-dep --yes --no-install-recommends .
quietly dpkg-buildpackage --unsigned-source --unsigned-changes --build=full
cd ..
ls -- *.deb
