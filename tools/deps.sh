#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs, by apt-get, the Debian packages that are missing.
#
#     tools/deps.sh build        what tools/demo.sh needs: compilers, Meson and the libraries
#     tools/deps.sh test         that, and what tools/check.sh needs
#     tools/deps.sh node         what tools/node-package.sh needs
#     tools/deps.sh node-arm64   that, and what it needs for arm64: adds the architecture to dpkg
#     tools/deps.sh node-test    that, and what tools/node-package-test.sh needs in its root
#     tools/deps.sh platforms    what tools/platforms.sh needs, and the other scripts that make a Debian of their own
#     tools/deps.sh deb          what tools/deb.sh needs to begin with
#     tools/deps.sh deb-test     what tools/deb-test.sh needs in its roots
#
# If nothing is missing, it asks dpkg once and ends; it then needs no right to install. The output of apt-get is shown
# only if it fails. All output goes to stderr, so that stdout is left to a program that is started after this script.
set -euo pipefail

build=(g++ libc6-dev meson ninja-build pkg-config
       libuv1-dev libvirt-dev libfmt-dev nlohmann-json3-dev libcli11-dev)

# PACKAGE=FILE: satisfied by the file too, because a Node that is not Debian's brings npm and the headers along.
test=("${build[@]}" ccache catch2 clang libclang-rt-dev valgrind spin python3
      libvirt-daemon libvirt-clients python3-uvloop libvirt-glib-1.0-dev libglib2.0-dev python3-gi
      python3-libvirt libsys-virt-perl python3-jsonschema strace git clang-format clang-tidy shellcheck codespell gcovr
      cmake abigail-tools doxygen man-db
      libsys-virt-perl libffi-platypus-perl perl ruby ruby-libvirt ruby-ffi
      luajit lua-luv neovim chromium=/usr/bin/chromium make
      qemu-system-x86 libvirt-daemon-driver-qemu libsystemd-dev systemd libhiredis-dev redis-server redis-tools
      libnats-dev nats-server systemtap-sdt-dev gdb bpftrace
      nodejs=/usr/bin/node npm=/usr/bin/npm libnode-dev=/usr/include/node/node_api.h)
node=("${build[@]}" binutils nodejs=/usr/bin/node npm=/usr/bin/npm libnode-dev=/usr/include/node/node_api.h)
node_arm64=("${node[@]}" g++-aarch64-linux-gnu
            libuv1-dev:arm64=/usr/lib/aarch64-linux-gnu/pkgconfig/libuv.pc
            libvirt-dev:arm64=/usr/lib/aarch64-linux-gnu/pkgconfig/libvirt.pc
            libfmt-dev:arm64=/usr/lib/aarch64-linux-gnu/pkgconfig/fmt.pc)
node_test=("${node_arm64[@]}" qemu-user-static)
# In Debian 12 the storage driver is a part of libvirt-daemon.
grep -qx 'VERSION_ID="12"' /etc/os-release || test+=(libvirt-daemon-driver-storage)

platforms=(debootstrap git python3)
deb=(dpkg-dev xz-utils)
deb_test=(lintian autopkgtest)

die() {
  printf 'tools/deps.sh: %s\n' "$*" >&2
  exit 1
}

# Prints which of the given packages are not installed.
missing() {
  local entry package installed
  installed=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' "${@%%=*}" 2>/dev/null |
    sed -n 's/^.i *//p') || true
  for entry in "$@"; do
    package=${entry%%=*}
    [[ $entry == *=* && -e ${entry#*=} ]] && continue
    grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

install() {
  local log as_root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null ||
      die "missing: $*. Installing needs root, and there is no sudo: run as root: apt-get install $*"
    as_root=(sudo)
  fi
  printf 'Installing %s\n' "$*" >&2
  log=$(mktemp)
  trap 'rm -f "$log"' RETURN
  if ! { { [[ $* != *:arm64* ]] || "${as_root[@]}" dpkg --add-architecture arm64; } &&
         "${as_root[@]}" apt-get update &&
         "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
       } >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    die "apt-get could not install: $*"
  fi
}

case ${1-} in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${test[@]}") ;;
  node) wanted=("${node[@]}") ;;
  node-arm64) wanted=("${node_arm64[@]}") ;;
  node-test) wanted=("${node_test[@]}") ;;
  platforms) wanted=("${platforms[@]}") ;;
  deb) wanted=("${deb[@]}") ;;
  deb-test) wanted=("${deb_test[@]}") ;;
  *) die "say which group of packages: $(sed -nE 's/^#     tools.deps.sh (\S+) .*/\1/p' "$0" | paste -sd '|')" ;;
esac

command -v apt-get >/dev/null ||
  die 'this is not a Debian system (it has no apt-get). Install what these packages contain, and build with Meson:' \
    "${wanted[*]%%=*}"

readarray -t packages < <(missing "${wanted[@]}")
[[ ${#packages[@]} == 0 ]] || install "${packages[@]}"
