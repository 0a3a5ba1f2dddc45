#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Unpacks Debian's own Node into FOLDER, once; nothing is installed, so another Node may be. Of the libraries that it
# needs, those come along that nothing else here has: its libuv is the machine's libuv.so.1.
set -euo pipefail
folder=$1
[[ -e $folder/.complete ]] && exit
rm -rf "$folder"
mkdir -p "$folder/packages"
cd "$folder/packages"

download() {
  local version
  version=$(apt-cache show libnode108 | sed -n 's/^Version: //p;T;q')
  apt-get -o APT::Sandbox::User="$(id -un)" download "nodejs=$version" "libnode108=$version" node-acorn \
    node-cjs-module-lexer node-undici libc-ares2 libnghttp2-14 libbrotli1
}

log=$(download 2>&1) || log=$(apt-get update 2>&1 && download 2>&1) || {
  printf "%s\nfetch-debian-node.sh: apt-get could not download Debian's nodejs\n" "$log" >&2
  exit 1
}
for package in *.deb; do dpkg -x "$package" "$folder"; done
touch "$folder/.complete"
